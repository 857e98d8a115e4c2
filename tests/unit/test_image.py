"""Kernel Images: what is taken, what is refused, and in which words."""

import bz2
import gzip
import lzma
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import fake_kernel
import pytest

from stepvisor.errors import ImageError, StepvisorError
from stepvisor.guest import image as image_module
from stepvisor.guest.image import load_image, parse_image

HERE = Path("k")


@pytest.fixture(scope="module")
def kernel() -> bytes:
    body = fake_kernel.make_header(size=0x8000) + random.Random(0).randbytes(0x7000)
    banner = b"Linux version 6.99.0-test (builder@example) #1 SMP\n"
    body[0x3000 : 0x3000 + len(banner)] = banner
    return bytes(body)


def zboot(payload: bytes, compression: bytes = b"gzip") -> bytes:
    header = struct.pack("<4s4s2I8x32s", b"MZ\0\0", b"zimg", 512, len(payload), compression)
    return header.ljust(512, b"\0") + payload + bytes(64)


def test_header_fields_and_banner(kernel: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(kernel)

    image = load_image(path)

    assert image.data == kernel
    assert (image.text_offset, image.image_size, image.flags) == (0, 0x40_0000, 0b1010)
    assert image.banner.startswith("Linux version 6.99.0-test")
    assert image.release == "6.99.0-test"
    assert image.path == path
    assert image.packing == ()


def test_image_without_efi_stub(kernel: bytes) -> None:
    bare = bytearray(kernel)
    bare[0x3C:0x40] = bytes(4)

    assert parse_image(bytes(bare), HERE).image_size == 0x40_0000


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("xz", lzma.compress),
        ("lzma", lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)),
    ],
)
def test_compressed_images_are_unpacked(
    kernel: bytes, name: str, pack: Callable[[bytes], bytes]
) -> None:
    image = parse_image(pack(kernel), HERE)

    assert image.data == kernel
    assert image.packing == (name,)


def test_zstd_and_lz4_with_their_libraries(kernel: bytes) -> None:
    zstandard = pytest.importorskip("zstandard")
    lz4_block = pytest.importorskip("lz4.block")
    block = lz4_block.compress(kernel, store_size=False)
    legacy = b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + block

    assert parse_image(zstandard.compress(kernel), HERE).data == kernel
    assert parse_image(legacy, HERE).data == kernel


@pytest.mark.parametrize(
    ("magic", "library"), [(b"\x28\xb5\x2f\xfd", "zstandard"), (b"\x02\x21\x4c\x18", "lz4")]
)
def test_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, magic: bytes, library: str
) -> None:
    def refuse(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", refuse)

    with pytest.raises(ImageError, match=f"pip install {library}"):
        parse_image(magic + bytes(100), HERE)


def test_efi_zboot_is_unpacked(kernel: bytes) -> None:
    image = parse_image(zboot(gzip.compress(kernel)), HERE)

    assert image.data == kernel
    assert image.packing == ("zboot", "gzip")


def test_truncated_zboot(kernel: bytes) -> None:
    whole = zboot(gzip.compress(kernel))

    with pytest.raises(ImageError, match="truncated EFI zboot file: its payload should be bytes"):
        parse_image(whole[: len(whole) - 200], HERE)


def test_zboot_of_unknown_payload() -> None:
    with pytest.raises(ImageError, match="payload of unknown form \\('rot13'\\)"):
        parse_image(zboot(b"nothing known" * 10, b"rot13"), HERE)


def test_nesting_is_bounded(kernel: bytes) -> None:
    data = kernel
    for _ in range(4):
        data = gzip.compress(data)

    with pytest.raises(ImageError, match="packed more than 3 times"):
        parse_image(data, HERE)


def test_unpacked_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes(3 << 20))
    plain = image_module.decompress
    monkeypatch.setattr(image_module, "decompress", lambda data: plain(data, limit=2 << 20))

    with pytest.raises(ImageError, match="unpacks to more than 2 MiB"):
        parse_image(bomb, HERE)


def test_every_truncation_is_refused(kernel: bytes) -> None:
    for size in (0, 1, 63, 64, 100, 0x200, 0x1000, 0x7FFF):
        with pytest.raises(ImageError):
            parse_image(kernel[:size], HERE)


def test_truncation_says_how_much(kernel: bytes) -> None:
    with pytest.raises(ImageError, match="is truncated: 32,767 bytes of 32,768"):
        parse_image(kernel[:-1], HERE)


@pytest.mark.parametrize("cut", [10, 100, 1000])
def test_truncated_gzip(kernel: bytes, cut: int) -> None:
    with pytest.raises(ImageError, match=r"cut short|damaged"):
        parse_image(gzip.compress(kernel)[:-cut], HERE)


def test_a_byte_order_that_cannot_work() -> None:
    data = fake_kernel.make_header(size=0x8000, flags=0b1011) + bytes(0x7000)

    with pytest.raises(ImageError, match="big-endian"):
        parse_image(bytes(data), HERE)


@pytest.mark.parametrize("flags", [0b1000, 0b1010, 0b1100, 0b1110])
def test_pages_of_every_size(flags: int) -> None:
    data = fake_kernel.make_header(size=0x8000, flags=flags) + bytes(0x7000)

    assert parse_image(bytes(data), HERE).flags == flags


def test_header_without_size() -> None:
    data = fake_kernel.make_header(size=0x8000, image_size=0) + bytes(0x7000)

    with pytest.raises(ImageError, match="too old"):
        parse_image(bytes(data), HERE)


def elf(machine: int, order: str = "<") -> bytes:
    ident = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(10)
    return (ident + struct.pack(f"{order}HH", 2, machine)).ljust(100, b"\0")


def pe(machine: int) -> bytes:
    out = bytearray(512)
    out[:2] = b"MZ"
    struct.pack_into("<I", out, 0x3C, 0x80)
    struct.pack_into("<4sH", out, 0x80, b"PE\0\0", machine)
    return bytes(out)


def at(offset: int, magic: bytes) -> bytes:
    return bytes(offset) + magic + bytes(0x400)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n", "no 'ARM"),
        (elf(183), "arm64 ELF file \\(vmlinux\\), not an Image: give arch/arm64/boot/Image"),
        (elf(62), "ELF file for x86-64"),
        (elf(21, ">"), "ELF file for PowerPC 64"),
        (elf(9999), "ELF file for machine 9999"),
        (at(0x202, b"HdrS"), "x86 kernel \\(bzImage\\)"),
        (at(0x38, b"RSC\x05"), "RISC-V kernel"),
        (at(0x24, b"\x18\x28\x6f\x01"), "32-bit Arm"),
        (pe(0x8664), "EFI program for x86-64"),
        (pe(0x6264), "EFI program for LoongArch"),
        (pe(0xAA64), "unified kernel image"),
        (b"MZ" + bytes(100), "DOS or EFI"),
        (b"070701" + bytes(100), "initramfs"),
        (b"!<arch>\n" + bytes(100), "package"),
        (b"\x27\x05\x19\x56" + bytes(100), "uImage"),
        (b"\x89LZO\0\r\n\x1a\n" + bytes(100), "lzo is not supported: unpack"),
    ],
)
def test_foreign_files_are_named(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        parse_image(data, HERE)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    with pytest.raises(ImageError, match="is a directory"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="No such file"):
        load_image(tmp_path / "none")
    with pytest.raises(ImageError, match="not a regular file"):
        load_image(fifo)
    with pytest.raises(ImageError, match="cannot be read"):
        load_image("nul\0byte")


def test_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as stream:
        stream.truncate(600 << 20)

    with pytest.raises(ImageError, match="has more than 512 MiB: too large"):
        load_image(path)


def test_damaged_images_never_escape_our_errors(kernel: bytes) -> None:
    rng = random.Random(3)
    inputs = [kernel[:0x1200], zboot(gzip.compress(kernel[:0x1200])), lzma.compress(kernel[:0x900])]
    refused = 0
    for _ in range(1500):
        data = bytearray(rng.choice(inputs))
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(min(len(data), 0x200))] = rng.randrange(256)
        del data[rng.randrange(len(data) // 2, len(data)) :]
        try:
            parse_image(bytes(data), HERE)
        except StepvisorError:
            refused += 1
    assert refused > 1000
