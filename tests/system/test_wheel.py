"""The wheel carries the monitor and works without the source tree."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree."""
    output = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(output), str(root)], check=True)
    (path,) = output.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bin` of a fresh environment with nothing but the wheel and what it asks for."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, str(wheel)], check=True)
    return environment / "bin"


def test_the_wheel_carries_the_monitor_of_this_tree(wheel: Path, monitor_build: Path) -> None:
    built = (monitor_build / "monitor.bin").read_bytes()

    with zipfile.ZipFile(wheel) as archive:
        packaged = archive.read("stepvisor/_monitor/monitor.bin")
        names = archive.namelist()

    assert packaged == built
    assert "stepvisor/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]


def test_the_installed_command_finds_its_monitor(scripts: Path, tmp_path: Path) -> None:
    """Run from elsewhere, in isolated mode: nothing of the source tree is in reach."""
    code = "from stepvisor.machine.monitor_image import find_monitor_image as f; print(f())"
    python = [str(scripts / "python"), "-I", "-c", code]

    found = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert Path(found.stdout.strip()).is_relative_to(scripts.parent)


def test_the_installed_command_passes_its_self_test(scripts: Path, tmp_path: Path) -> None:
    command = str(scripts / "stepvisor")

    version = subprocess.run([command, "--version"], cwd=tmp_path, capture_output=True, check=True)
    doctor = subprocess.run(
        [command, "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert version.stdout == b"stepvisor 0.1.0\n"
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert str(scripts.parent) in doctor.stdout
