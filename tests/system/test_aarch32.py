"""Guests whose user space is AArch32: Debian's armhf busybox as init, shell and programs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from armhf import armhf_busybox, program
from command_line import CommandLine
from plain_guest import PlainGuest

import stepvisor
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs

pytestmark = pytest.mark.system

SIGTRAP_EXIT = "133"
"""128 and the number of the signal."""

BKPT_A32 = (0xE1200070, 0xE3A00000, 0xE3A07001, 0xEF000000)
"""bkpt #0; mov r0, #0; mov r7, #1; svc #0: without the first, exit(0)."""
BKPT_T32 = bytes.fromhex("05be 0020 0127 00df")
"""bkpt #5; movs r0, #0; movs r7, #1; svc #0."""

PROGRAMS = {
    "root/bkpt": program(BKPT_A32),
    "root/bkpt-t32": program(BKPT_T32, thumb=True),
}
BKPTS = "for name in bkpt bkpt-t32; do ./$name; echo $?; done"


@pytest.fixture(scope="module")
def initrd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of user space is 32-bit."""
    path = tmp_path_factory.mktemp("armhf") / "initrd"
    path.write_bytes(build_initramfs(armhf_busybox(), PROGRAMS))
    return path


@pytest.fixture(scope="module")
def guest(initrd: Path) -> Iterator[stepvisor.Guest]:
    with stepvisor.boot(initrd=initrd, cpus=1) as guest:
        guest.wait_ready()
        yield guest


def test_trace(command_line: CommandLine, initrd: Path) -> None:
    done = command_line.run(
        *("trace", "-e", "vfs_read", "--where", "x2 == 3", "--initrd", str(initrd)),
        *("--run", "dd if=/dev/zero of=/dev/null bs=3 count=300 2>/dev/null"),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "vfs_read  300 hits" in done.stdout


def test_commands_and_boot_time(guest: stepvisor.Guest) -> None:
    assert guest.run("head -c 5 /bin/busybox | tail -c 1 | od -An -tu1").output.split() == ["1"]
    assert guest.run("exit 3").exit_code == 3
    assert 0 < guest.boot_seconds < 600


@pytest.fixture(scope="module")
def natively(files: GuestFiles, initrd: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What breakpoint instructions do without us."""
    with PlainGuest(files, tmp_path_factory.mktemp("plain"), initrd=initrd) as plain:
        plain.wait_ready()
        return plain.run(BKPTS)[0]


def test_breakpoint_instructions(guest: stepvisor.Guest, natively: str) -> None:
    """Freely, with an SMC probe, with a BRK probe, afterwards."""
    assert [line for line in natively.splitlines() if line.isdigit()] == [SIGTRAP_EXIT] * 2

    assert guest.run(BKPTS).output == natively
    for trap in ("smc", "brk"):
        with guest.trace("vfs_read", trap=trap):
            assert guest.run(BKPTS).output == natively
        assert guest.run(BKPTS).output == natively
