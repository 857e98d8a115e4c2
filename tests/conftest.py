"""What several test modules need."""

from pathlib import Path

import pytest

import build

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The source tree."""
    return ROOT


@pytest.fixture(scope="session")
def monitor_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a monitor.elf and monitor.bin of this very tree, all types in the former."""
    output = tmp_path_factory.mktemp("el2")
    options = ["-Werror", "-fno-eliminate-unused-debug-types"]
    build.build(output, build.find_toolchain(), options)
    return output
