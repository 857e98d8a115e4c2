"""The monitor is found in a wheel, in a source tree, or missed with a message."""

from pathlib import Path

import pytest

from stepvisor.errors import SetupError
from stepvisor.machine.monitor_image import find_monitor_image


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An empty package in an empty source tree."""
    path = tmp_path / "src" / "stepvisor"
    path.mkdir(parents=True)
    return path


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"monitor")
    return path


def test_package_data_comes_first(package: Path, tmp_path: Path) -> None:
    put(tmp_path / "build" / "el2" / "monitor.bin")
    packaged = put(package / "_monitor" / "monitor.bin")

    assert find_monitor_image(package) == packaged


def test_a_source_tree_has_its_build(package: Path, tmp_path: Path) -> None:
    built = put(tmp_path / "build" / "el2" / "monitor.bin")

    assert find_monitor_image(package) == built


def test_a_missing_monitor_says_what_to_do(package: Path) -> None:
    with pytest.raises(SetupError, match="run `make el2`"):
        find_monitor_image(package)
