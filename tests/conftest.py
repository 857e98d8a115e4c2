"""What several test modules need."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(ROOT / "spec"))
sys.path.insert(0, str(ROOT / "el2"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The source tree."""
    return ROOT


@pytest.fixture(scope="session")
def monitor_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a monitor.elf and monitor.bin of this very tree."""
    import build  # noqa: PLC0415 - el2/build.py is no package; sys.path has just learned of it

    output = tmp_path_factory.mktemp("el2")
    build.build(output, build.find_toolchain(), ["-Werror"])
    return output
