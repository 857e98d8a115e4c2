"""scripts/setup.py does what is missing and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = {"qemu-system-aarch64", "aarch64-linux-gnu-gcc", "gcc", "gpg", "gpg-agent", "gpgv"}
APT = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *install*)
    for name in {programs}; do
        echo '#!/bin/sh' > {bin}/$name
        chmod +x {bin}/$name
    done
esac
"""
SUDO = """#!/bin/sh
shift
exec "$@"
"""
LOCKED = """#!/bin/sh
case "$*" in
*install*)
    echo "W: that is only a warning" >&2
    echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'" >&2
    exit 100 ;;
*update*) {update} ;;
esac
"""
NOT_ROOT = (
    "import os, runpy, sys; os.geteuid = lambda: 1000; runpy.run_path(sys.argv[1], {}, '__main__')"
)


class Machine:
    """A source tree and a PATH of our own; what `apt-get` was asked for is in `log`."""

    def __init__(self, root: Path, home: Path) -> None:
        self.tree = home / "tree"
        self.bin = home / "bin"
        self.log = home / "apt.log"
        (self.tree / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        script = (root / "scripts" / "setup.py").read_text(encoding="utf-8")
        (self.tree / "scripts" / "setup.py").write_text(script, encoding="utf-8")
        (self.tree / "pyproject.toml").write_text(
            '[project]\nname = "empty"\nversion = "0"\n'
            "[project.optional-dependencies]\ndev = []\ncompression = []\ndisplay = []\n"
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            encoding="utf-8",
        )
        for name in ("env", "sh", "chmod", "true"):
            (self.bin / name).symlink_to(f"/usr/bin/{name}")

    def put(self, name: str, text: str = "#!/bin/sh\n") -> None:
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def put_apt(self, programs: set[str]) -> None:
        names = " ".join(sorted(programs))
        self.put("apt-get", APT.format(log=self.log, bin=self.bin, programs=names))
        self.put("sudo", SUDO)

    def finish_venv(self) -> None:
        """Let the environment look finished, as a first run leaves it."""
        code = f"import sys; sys.path.insert(0, {str(self.tree / 'scripts')!r}); import setup"
        code += "; setup._VENV.mkdir(); setup._STAMP.write_text(setup._fingerprint())"
        subprocess.run([sys.executable, "-c", code], check=True)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *options, str(self.tree / "scripts" / "setup.py")]
        environment = {**os.environ, "PATH": str(self.bin)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Machine:
    return Machine(root, tmp_path)


def test_a_complete_machine_is_left_alone(machine: Machine) -> None:
    for name in PROGRAMS:
        machine.put(name)
    machine.put_apt(set())
    machine.finish_venv()

    result = machine.run()

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not machine.log.exists()


def test_only_missing_packages_are_installed(machine: Machine) -> None:
    for name in PROGRAMS - {"qemu-system-aarch64"}:
        machine.put(name)
    machine.put_apt(PROGRAMS)
    machine.finish_venv()

    result = machine.run()

    assert result.returncode == 0, result.stderr
    update, install = machine.log.read_text(encoding="utf-8").splitlines()
    assert update == "-qq update"
    assert install.startswith("-qq install ")
    assert install.endswith(" --yes qemu-system-arm")


def test_without_apt_the_packages_are_named(machine: Machine) -> None:
    machine.finish_venv()

    result = machine.run()

    assert result.returncode == 1
    assert "qemu-system-arm gcc-aarch64-linux-gnu gcc gpg gpg-agent gpgv" in result.stderr
    assert "there is no apt-get here" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("update", "also"),
    [("true", ""), ("echo 'E: no such suite' >&2; exit 7", "exit code 7: no such suite")],
)
def test_what_apt_says_is_the_reason(machine: Machine, update: str, also: str) -> None:
    """Root or not was not the trouble, and nothing is said of it."""
    machine.put("apt-get", LOCKED.format(update=update))
    machine.finish_venv()

    result = machine.run()

    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1
    assert "install failed with exit code 100: dpkg was interrupted" in last
    assert also in last
    assert ("apt-get update" in last) == bool(also)
    assert "W: that is only a warning" in result.stderr
    assert "sudo" not in result.stderr


def test_without_leave_to_install(machine: Machine) -> None:
    machine.put_apt(PROGRAMS)
    machine.put("sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    machine.finish_venv()

    result = machine.run("-c", NOT_ROOT)

    assert result.returncode == 1
    assert "neither root nor sudo without a password" in result.stderr
    assert not machine.log.exists()


def test_an_installation_that_changes_nothing_is_no_success(machine: Machine) -> None:
    machine.put_apt(set())
    machine.finish_venv()

    result = machine.run()

    assert result.returncode == 1
    assert "still missing" in result.stderr


def test_an_environment_that_cannot_be_made_is_a_message(machine: Machine) -> None:
    """The project's build backend does not exist: pip says so, then we do."""
    for name in PROGRAMS:
        machine.put(name)

    result = machine.run()

    assert result.returncode == 1
    assert "setup: pip could not install the development environment" in result.stderr
    assert not (machine.tree / ".venv" / "stepvisor-setup").exists()
