"""QEMUs of newer Debian releases, with the libraries that they need, in the user's cache.

Nothing of the system changes: packages are fetched as kernels are, unpacked beside each other, and
run by the dynamic linker of their own release.
"""

import platform
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from stepvisor.errors import SetupError
from stepvisor.guest.apt import AptArchive
from stepvisor.guest.cache import cache_directory, locked, replace_directory, scratch_directory

__all__ = ("QEMUS", "qemu_program")

QEMUS: Final[Mapping[str, str]] = {"7.2": "bookworm", "10": "trixie", "11": "trixie-backports"}
"""QEMU's version to the Debian suite that has it."""

_PACKAGE: Final = "qemu-system-arm"
_BINARY: Final = "usr/bin/qemu-system-aarch64"
_DATA: Final = "usr/share/qemu"
_WRAPPER: Final = "qemu-system-aarch64"
_ARCHITECTURES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}


def qemu_program(name: str, say: Callable[[str], None]) -> Path:
    """Return the program of one of QEMUS, fetched when it is not in the cache yet.

    :raise SetupError: When it cannot be had.
    """
    directory = cache_directory() / "qemu"
    target = directory / name
    with locked(directory, lambda: say("waiting for another stepvisor that is fetching a QEMU")):
        if not (target / _WRAPPER).is_file():
            with scratch_directory(directory) as work:
                new = work / "qemu"
                _unpack(_fetch(QEMUS[name], work, say), new)
                replace_directory(new, target)
                _write_wrapper(target)
    return target / _WRAPPER


def _fetch(suite: str, work: Path, say: Callable[[str], None]) -> tuple[Path, ...]:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise SetupError(f"no QEMU of Debian's is known for {machine}: $STEPVISOR_QEMU names yours")
    say(f"reading the package lists of Debian {suite} (apt, nothing is installed)")
    directory = work / "archive"
    directory.mkdir()
    archive = AptArchive(suite, directory, architecture=_ARCHITECTURES[machine])
    say(f"downloading {_PACKAGE} of {suite} and what it needs")
    return archive.download_with_dependencies(_PACKAGE)


def _unpack(packages: tuple[Path, ...], directory: Path) -> None:
    directory.mkdir()
    for package in packages:
        subprocess.run(["dpkg-deb", "--extract", package, directory], check=True)


def _write_wrapper(directory: Path) -> None:
    """A program that runs QEMU by the dynamic linker and libraries that lie beside it.

    Libraries of before Debian 13 lie in lib and usr/lib, and what has the linker's usual name is a
    link to the linker of the machine.
    """
    roots = [root for name in ("lib", "usr/lib") if (root := directory / name).is_dir()]
    linkers = (path for root in roots for path in root.rglob("ld-linux-*.so.*"))
    linker = next((path for path in linkers if not path.is_symlink()), None)
    if linker is None or not (directory / _BINARY).is_file():
        raise SetupError(f"{directory}: the packages have no dynamic linker or no {_BINARY}")
    folders = {path.parent for root in roots for path in root.rglob("lib*.so.*")}
    command = [
        *(linker, "--library-path", ":".join(sorted(map(str, folders)))),
        *(directory / _BINARY, "-L", directory / _DATA),
    ]
    wrapper = directory / _WRAPPER
    wrapper.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n')
    wrapper.chmod(0o755)
