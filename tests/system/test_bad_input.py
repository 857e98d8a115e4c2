"""Bad input: one clear line, exit code 2, nothing left running."""

import os
import shutil
from pathlib import Path

import pytest
from command_line import CommandLine

from stepvisor.guest.distribution import GuestFiles

pytestmark = pytest.mark.system


def check(command_line: CommandLine, expected: str, *arguments: str, **variables: str) -> None:
    done = command_line.run(*arguments, **variables)

    assert done.stdout == ""
    assert done.stderr.startswith("stepvisor: error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert expected in done.stderr
    assert done.returncode == 2
    assert command_line.wait_gone() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("-e", "vfs_raed"), "did you mean vfs_read"),
        (("-e", "init_task"), "this is data, not code"),
        (("-e", "vfs_read+2"), "instructions are 4 bytes"),
        (("-e", "vfs_read+0x100000"), "give a smaller offset"),
        (("-e", "start_kernel"), "freed after boot"),
        (("-e", "0x1234"), "is not in the kernel"),
        (("-e", "vfs read"), "write NAME"),
        (("-e", "vfs_read", "--cpus", "0"), "0 vCPUs"),
        (("-e", "vfs_read", "--cpus", "9"), "9 vCPUs"),
        (("-e", "vfs_read", "--cpus", "two"), "invalid int value"),
        (("-e", "vfs_read", "--cpu", "potato"), "potato"),
        (("-e", "vfs_read", "--cpu", "cortex-a15"), "not a 64-bit CPU"),
        (("-e", "vfs_read", "--cpu", "max,potato=on"), "potato"),
        (("-e", "vfs_read", "--memory", "64M"), "at least"),
        (("-e", "vfs_read", "--memory", "lots"), "512M or 1G"),
        (("-e", "vfs_read", "--append", "x" * 3000), "shorten --append"),
        (("-e", "vfs_read", "--duration", "-1"), "seconds above 0"),
        (("-e", "vfs_read", "--count", "0"), "hits above 0"),
        (("-e", "vfs_read", "--kernel", "/nonexistent"), "/nonexistent"),
        (("-e", "vfs_read", "--initrd", "/nonexistent"), "/nonexistent"),
        ((), "-e"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_trace(command_line: CommandLine, arguments: tuple[str, ...], expected: str) -> None:
    check(command_line, expected, "trace", *arguments)


def test_no_qemu(command_line: CommandLine, tmp_path: Path) -> None:
    check(command_line, "qemu-system-arm", "trace", "-e", "vfs_read", PATH=str(tmp_path))


def test_old_qemu(command_line: CommandLine, tmp_path: Path) -> None:
    program = tmp_path / "qemu-system-aarch64"
    program.write_text("#!/bin/sh\necho QEMU emulator version 5.2.0\n")
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"

    check(command_line, "needs 7.2 or newer", "trace", "-e", "vfs_read", PATH=path)


def test_something_else_called_qemu(command_line: CommandLine) -> None:
    true = shutil.which("true")
    assert true is not None

    check(command_line, "does not say that it is QEMU", "trace", "-e", "x", STEPVISOR_QEMU=true)


def test_truncated_kernel(command_line: CommandLine, tmp_path: Path, files: GuestFiles) -> None:
    image = tmp_path / "Image"
    image.write_bytes(files.kernel.read_bytes()[: 1 << 20])

    check(command_line, "truncated", "trace", "-e", "vfs_read", "--kernel", str(image))


def test_foreign_kernel(command_line: CommandLine, tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bytes(0x202) + b"HdrS" + bytes(4096))

    check(command_line, "x86", "trace", "-e", "vfs_read", "--kernel", str(image))
