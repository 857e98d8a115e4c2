"""Make this machine able to build and test stepvisor: Debian packages and a virtual environment.

Usage: python3 scripts/setup.py

Does only what is missing. Outside `.venv/` it touches nothing but the package manager, and that
only when a program is not there.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_VENV = _ROOT / ".venv"
_STAMP = _VENV / "stepvisor-setup"
_OLDEST_PYTHON = (3, 11)

_PACKAGES = {
    "qemu-system-aarch64": "qemu-system-arm",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "gcc": "gcc",
    "gpg": "gpg",
    "gpg-agent": "gpg-agent",
    "gpgv": "gpgv",
}
"""Program -> Debian package."""


def main() -> int:
    """Set everything up; returns the exit code."""
    if sys.version_info < _OLDEST_PYTHON:
        return _fail(f"Python {sys.version.split()[0]} is too old: 3.11 or later is needed")
    if missing := _missing_packages():
        if trouble := _install(missing):
            return _fail(
                f"these Debian packages are missing: {' '.join(missing)}; they could not be "
                f"installed: {trouble}"
            )
        importlib.invalidate_caches()
        if still := _missing_packages():
            return _fail(f"still missing after their installation: {' '.join(still)}")
    return _make_venv()


def _missing_packages() -> list[str]:
    missing = [package for program, package in _PACKAGES.items() if not shutil.which(program)]
    if not _STAMP.exists() and not importlib.util.find_spec("ensurepip"):
        missing.append("python3-venv")
    return missing


def _install(packages: list[str]) -> str:
    """Install with apt-get; what went wrong, in words, or nothing when it did."""
    if not shutil.which("apt-get"):
        return "there is no apt-get here, so install them as this system does it"
    prefix: list[str] = []
    if os.geteuid() != 0:
        prefix = ["sudo", "-n"]
        if not shutil.which("sudo") or _run([*prefix, "true"], quiet=True, mute=True):
            return "neither root nor sudo without a password"
    prefix += ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    print(f"installing {' '.join(packages)}", flush=True)
    options = ["-o", "Dpkg::Use-Pty=0", "--no-install-recommends", "--yes"]
    # An index that is stale in part still serves most packages: let the installation decide.
    update = _failure([*prefix, "update"])
    install = _failure([*prefix, "install", *options, *packages])
    if not install:
        return ""
    return f"apt-get install {install}" + (f"; apt-get update {update}" if update else "")


def _failure(command: list[str]) -> str:
    """Run a command of apt's: how it failed, with its errors, or nothing when it did not."""
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(done.stderr)
    if done.returncode == 0:
        return ""
    errors = [line[3:] for line in done.stderr.splitlines() if line.startswith("E: ")]
    return f"failed with exit code {done.returncode}: {' '.join(errors) or 'it says no more'}"


def _make_venv() -> int:
    """`.venv` with stepvisor and the development tools, again when pyproject.toml changes."""
    wanted = _fingerprint()
    if _STAMP.exists() and _STAMP.read_text(encoding="utf-8") == wanted:
        return 0
    print("making .venv", flush=True)
    # Without a stamp an earlier run was cut short, and nothing in there can be relied on.
    if not _STAMP.exists() and _run([sys.executable, "-m", "venv", "--clear", str(_VENV)]):
        return _fail(f"{sys.executable} -m venv failed")
    pip = [str(_VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    if _run([*pip, "--quiet", "--editable", f"{_ROOT}[dev,compression]"]):
        return _fail("pip could not install the development environment into .venv")
    _STAMP.write_text(wanted, encoding="utf-8")
    return 0


def _fingerprint() -> str:
    """Changes when the environment has to be made again."""
    project = (_ROOT / "pyproject.toml").read_bytes()
    return f"{hashlib.sha256(project).hexdigest()} {_ROOT} {sys.version_info[:2]}\n"


def _run(command: list[str], *, quiet: bool = False, mute: bool = False) -> int:
    """Exit code; `quiet` hides what the command prints, `mute` its complaints too."""
    output = subprocess.DEVNULL if quiet else None
    errors = subprocess.DEVNULL if mute else None
    return subprocess.run(command, stdout=output, stderr=errors, check=False).returncode


def _fail(message: str) -> int:
    print(f"setup: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
