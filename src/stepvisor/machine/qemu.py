"""Find QEMU, check it, write its command line."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from stepvisor.errors import SetupError
from stepvisor.machine.config import MachineConfig

__all__ = ("OLDEST_QEMU", "find_qemu", "qemu_argv", "qemu_version")

OLDEST_QEMU = (7, 2)
"""Oldest version whose EL2, software step and GICv3 virtual interface the monitor was tested on."""

_BOARD = "virt,virtualization=on,gic-version=3,its=off"
_PROGRAM = "qemu-system-aarch64"
_VERSION = re.compile(r"QEMU emulator version (\d+)\.(\d+)(?:\.(\d+))?")


def find_qemu() -> Path:
    """The QEMU program: ``$STEPVISOR_QEMU``, else on ``PATH``.

    :raise SetupError: When there is none.
    """
    wanted = os.environ.get("STEPVISOR_QEMU", _PROGRAM)
    found = shutil.which(wanted)
    if found is None:
        message = f"{wanted} not found; install it (Debian: apt install qemu-system-arm)"
        raise SetupError(message)
    return Path(found)


def qemu_version(program: Path) -> tuple[int, int, int]:
    """Version of `program`.

    :raise SetupError: When it does not say, or is older than :data:`OLDEST_QEMU`.
    """
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        message = f"{program} does not run: {error}"
        raise SetupError(message) from error
    match = _VERSION.search(done.stdout)
    if match is None:
        message = f"{program} does not say that it is QEMU: {done.stdout[:100]!r}"
        raise SetupError(message)
    version = (int(match[1]), int(match[2]), int(match[3] or 0))
    if version < OLDEST_QEMU:
        oldest = ".".join(map(str, OLDEST_QEMU))
        message = f"{program} is version {match[1]}.{match[2]}; needs {oldest} or newer"
        raise SetupError(message)
    return version


def qemu_argv(
    program: Path, config: MachineConfig, *, image: Path, ram_fd: int, qmp_fd: int, console_fd: int
) -> list[str]:
    """Command line of a stopped machine with `image` as its kernel and three inherited descriptors.

    No ITS and no network or disk devices: each of them does DMA, which no stage 2 checks.
    """
    size = f"{config.ram_size >> 20}M"
    return [
        str(program),
        *("-M", _BOARD + (",mte=on" if config.tagged_memory else "")),
        *("-cpu", config.cpu),
        *("-smp", str(config.vcpus)),
        *("-m", size),
        *(
            "-object",
            f"memory-backend-file,id=ram,size={size},share=on,mem-path=/proc/self/fd/{ram_fd}",
        ),
        *("-machine", "memory-backend=ram"),
        *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"),
        *("-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"socket,id=console,fd={console_fd}", "-serial", "chardev:console"),
        *("-kernel", str(image)),
        "-S",
    ]
