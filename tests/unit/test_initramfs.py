"""What is in the initramfs. tests/system boots it."""

import gzip
import shutil
import struct
import subprocess

import pytest
from test_cpio import unpack

from stepvisor.errors import ArchiveError, ImageError
from stepvisor.guest.initramfs import READY_LINE, build_initramfs, recipe


def program(machine: int = 183, *, interpreter: bool = False) -> bytes:
    """An ELF program with one program header."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<HH", header, 16, 2, machine)
    struct.pack_into("<Q", header, 0x20, 64)
    struct.pack_into("<HH", header, 0x36, 56, 1)
    return bytes(header) + struct.pack("<I", 3 if interpreter else 1).ljust(56, b"\0")


def program32(*, interpreter: bool = False) -> bytes:
    """The same for 32-bit Arm."""
    header = bytearray(52)
    header[:6] = b"\x7fELF\x01\x01"
    struct.pack_into("<HH", header, 16, 2, 40)
    struct.pack_into("<I", header, 0x1C, 52)
    struct.pack_into("<HH", header, 0x2A, 32, 1)
    return bytes(header) + struct.pack("<I", 3 if interpreter else 1).ljust(32, b"\0")


def test_contents() -> None:
    busybox = program()
    files = unpack(gzip.decompress(build_initramfs(busybox, {"/root/bench": b"#!/bin/sh\n"})))

    assert files["bin/busybox"][:2] == (0o100755, busybox)
    assert files["bin/sh"][:2] == (0o120777, b"busybox")
    assert files["dev/console"][::2] == (0o020600, (5, 1))
    assert files["root/bench"][:2] == (0o100755, b"#!/bin/sh\n")
    assert files["init"][0] == 0o100755
    assert READY_LINE.encode() in files["init"][1]


def test_busybox_of_32_bits() -> None:
    files = unpack(gzip.decompress(build_initramfs(program32())))

    assert files["bin/busybox"][1] == program32()


def test_same_input_gives_same_bytes() -> None:
    assert build_initramfs(program(), {"a": b"1"}) == build_initramfs(program(), {"a": b"1"})


def test_init_can_be_replaced() -> None:
    files = unpack(gzip.decompress(build_initramfs(program(), {"init": b"#!/bin/sh\n"})))

    assert files["init"][1] == b"#!/bin/sh\n"


def test_script_has_no_syntax_error() -> None:
    shell = shutil.which("sh")
    assert shell is not None

    subprocess.run([shell, "-n"], input=recipe(), check=True)


@pytest.mark.parametrize(
    ("busybox", "words"),
    [
        (b"", "not an ELF"),
        (b"#!/bin/sh\n", "not an ELF"),
        (program(62), "program for x86-64"),
        (program(interpreter=True), "shared libraries"),
        (program32(interpreter=True), "shared libraries"),
    ],
)
def test_busybox_that_cannot_run(busybox: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        build_initramfs(busybox)


def test_impossible_extra_file() -> None:
    with pytest.raises(ArchiveError):
        build_initramfs(program(), {"../x": b""})
    with pytest.raises(ArchiveError, match="added twice"):
        build_initramfs(program(), {"bin/busybox": b""})
