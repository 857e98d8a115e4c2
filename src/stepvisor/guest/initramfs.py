"""The guest's user space: one static busybox and a script, as an initramfs.

What the host may rely on, once the console has printed the line `stepvisor: guest ready`:

* Lines written to the console are run by a shell, one after the other. They are not echoed, and
  there is no prompt. The line is printed again whenever that shell ended and a new one began: a
  syntax error ends it, so a command that is not known to be right belongs in `sh -c '...'`.
* Commands have an empty standard input, and write to the console without any translation.
* The shell takes its commands in large reads, never byte by byte, so that reads of one byte in the
  guest are those of the commands that it runs.
* /proc, /sys, /dev, /dev/pts, /tmp and, where the kernel has it, /sys/kernel/tracing are mounted;
  every busybox command is in the PATH; `poweroff -f` ends the guest.
* The kernel prints on the console only emergencies: a panic, the power going down.

With the word `stepvisor.shell=interactive` on the kernel command line the shell is one for people:
prompt, echo, line editing, Ctrl-C.
"""

import gzip
from collections.abc import Mapping
from typing import Final

from stepvisor.errors import ImageError
from stepvisor.guest.cpio import CpioWriter
from stepvisor.guest.foreign import elf_machine

__all__ = ("INTERACTIVE_WORD", "READY_LINE", "build_initramfs", "recipe")

READY_LINE: Final = "stepvisor: guest ready"
"""Printed on the console whenever a shell begins to take commands."""

INTERACTIVE_WORD: Final = "stepvisor.shell=interactive"
"""Kernel command line word that asks for a shell for people."""

_DIRECTORIES: Final = (
    "bin",
    "dev",
    "etc",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr/bin",
    "usr/sbin",
)

_ELFCLASS64: Final = b"\x02"

_INIT: Final = f"""\
#!/bin/busybox sh
export PATH=/sbin:/bin:/usr/sbin:/usr/bin HOME=/root TERM=linux
/bin/busybox mount -t proc proc /proc
echo 1 4 1 4 > /proc/sys/kernel/printk
/bin/busybox --install -s
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev || mount -t tmpfs tmpfs /dev
[ -c /dev/console ] || mknod -m 600 /dev/console c 5 1
[ -c /dev/null ] || mknod -m 666 /dev/null c 1 3
[ -c /dev/zero ] || mknod -m 666 /dev/zero c 1 5
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts 2>/dev/null
[ -d /sys/kernel/tracing ] && mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
hostname guest
ip link set lo up 2>/dev/null
cd /root
case " $(cat /proc/cmdline) " in *" {INTERACTIVE_WORD} "*)
    while :; do
        echo '{READY_LINE}'
        setsid cttyhack sh -i
    done
esac
stty raw -echo </dev/console
while :; do
    echo '{READY_LINE}'
    # A script's name instead of standard input: read in large blocks, without a prompt.
    sh /dev/console </dev/null
done
"""


def build_initramfs(busybox: bytes, extra: Mapping[str, bytes] | None = None) -> bytes:
    """Make the initramfs (cpio, gzip) from a static busybox, for arm64 or for 32-bit Arm.

    :param extra: Further files by path; they are executable. One named `init` replaces ours.
    :return: The same bytes for the same arguments.
    :raise ImageError: When `busybox` is not a program that an arm64 guest can run alone.
    :raise ArchiveError: When a path in `extra` is impossible.
    """
    _check_busybox(busybox)
    files = {path.lstrip("/"): data for path, data in (extra or {}).items()}
    writer = CpioWriter()
    for directory in _DIRECTORIES:
        writer.add_directory(directory)
    # The kernel opens the console before /init runs, so before devtmpfs is mounted.
    writer.add_character_device("dev/console", 5, 1)
    writer.add_character_device("dev/null", 1, 3, 0o666)
    writer.add_file("bin/busybox", busybox, 0o755)
    writer.add_symlink("bin/sh", "busybox")
    writer.add_file("init", files.pop("init", _INIT.encode()), 0o755)
    for path, data in files.items():
        writer.add_file(path, data, 0o755)
    return gzip.compress(writer.finish(), compresslevel=6, mtime=0)


def recipe() -> bytes:
    """Return what decides an initramfs besides busybox: it is another one when this differs."""
    return _INIT.encode()


def _check_busybox(busybox: bytes) -> None:
    machine = elf_machine(busybox)
    if machine is None:
        raise ImageError(
            "busybox: not an ELF program: give the bin/busybox of an arm64 busybox-static"
        )
    # A 32-bit one runs on a kernel with CONFIG_COMPAT, on a core with AArch32 at EL0.
    if machine not in {"arm64", "Arm (32 bit)"}:
        raise ImageError(
            f"busybox: a program for {machine}: give the one of an arm64 busybox-static"
        )
    if _has_interpreter(busybox):
        raise ImageError("busybox: needs shared libraries: give the one of an arm64 busybox-static")


def _has_interpreter(program: bytes) -> bool:
    """Whether an ELF file has a PT_INTERP program header: it is not static."""
    wide = program[4:5] == _ELFCLASS64
    places = (0x20, 0x28, 0x36, 0x38, 0x3A) if wide else (0x1C, 0x20, 0x2A, 0x2C, 0x2E)
    table = int.from_bytes(program[places[0] : places[1]], "little")
    size = int.from_bytes(program[places[2] : places[3]], "little")
    count = int.from_bytes(program[places[3] : places[4]], "little")
    kinds = (program[table + size * i : table + size * i + 4] for i in range(count))
    return b"\x03\0\0\0" in kinds
