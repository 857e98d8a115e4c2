"""Packages, compressed files and package lists that mean harm are refused at a bounded cost."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_packages import make_ar

from stepvisor.errors import ArchiveError
from stepvisor.guest import compression
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.compression import decompress, unpack
from stepvisor.guest.sources import parse_deb822

PATIENCE = 20
MIB = 1 << 20


def package(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / "x.deb"
    path.write_bytes(make_ar((name, data)))
    return path


def header(kind: bytes, size: int) -> bytes:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT)


def packed_zeros(start: bytes, size: int) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    out = packer.compress(start)
    for _ in range(size // MIB):
        out += packer.compress(bytes(MIB))
    return out + packer.flush()


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_headers_of_any_size(tmp_path: Path, kind: bytes) -> None:
    size = 64 * MIB
    path = package(tmp_path, "data.tar.xz", packed_zeros(header(kind, size), size))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="has a header of 67,108,864 bytes: refused"):
            extract_from_deb(path, "boot/.*")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 32 * MIB


@pytest.mark.parametrize(
    ("form", "long"),
    [
        *((tarfile.USTAR_FORMAT, long) for long in (50, 90, 100, 180)),  # 255 are too many for it
        *((tarfile.GNU_FORMAT, long) for long in (50, 90, 95, 100, 180, 1000)),
        *((tarfile.PAX_FORMAT, long) for long in (50, 90, 95, 100, 180, 1000)),
    ],
)
def test_long_names_are_read(tmp_path: Path, form: int, long: int) -> None:
    name = "boot/" + "d" * (long // 2) + "/" + "f" * (long - long // 2)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        other = tarfile.TarInfo("./other")
        other.size = 700
        tar.addfile(other, io.BytesIO(bytes(700)))
        entry = tarfile.TarInfo(f"./{name}")
        entry.size = 600
        tar.addfile(entry, io.BytesIO(b"k" * 600))

    assert extract_from_deb(package(tmp_path, "data.tar", raw.getvalue()), name) == b"k" * 600


def test_a_file_of_negative_size(tmp_path: Path) -> None:
    block = bytearray(header(tarfile.REGTYPE, 0))
    block[124:136] = b"\xff" * 11 + b"\x00"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)

    with pytest.raises(ArchiveError, match="damaged"):
        extract_from_deb(package(tmp_path, "data.tar", bytes(block) * 4), "x")


def test_a_dictionary_of_any_size() -> None:
    """One byte of an xz stream asks for 1 GiB of memory."""
    data = bytearray(lzma.compress(bytes(5000), format=lzma.FORMAT_XZ))
    size = (data[12] + 1) * 4
    place = data.index(b"\x21\x01", 12) + 2
    data[place] = 36
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))

    with pytest.raises(ArchiveError, match="xz data is damaged \\(Memory usage limit"):
        decompress(bytes(data))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_pieces_come_as_they_are_asked_for(kind: str) -> None:
    """Whatever the data unpacks to, one megabyte at a time is in memory."""
    data = PACKERS[kind](bytes(40 * MIB))
    tracemalloc.start()
    try:
        count = 0
        for piece in unpack(kind, data):
            count += len(piece)
            assert len(piece) <= MIB
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 40 * MIB
    assert peak < 16 * MIB


@pytest.mark.parametrize("kind", PACKERS)
def test_unpacking_is_the_inverse(kind: str) -> None:
    data = bytes(range(256)) * 9000 + bytes(2 * MIB)

    assert decompress(PACKERS[kind](data)) == data
    assert decompress(PACKERS[kind](b"")) == b""
    with pytest.raises(ArchiveError, match=r"cut short|damaged"):
        decompress(PACKERS[kind](data)[:-9])


def test_unpacking_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_SECONDS", -1)

    with pytest.raises(ArchiveError, match="takes more than -1 s to unpack: refused"):
        decompress(gzip.compress(b"x"))


def test_fields_of_many_lines() -> None:
    """Quadratic where each line is appended to the text so far."""
    text = "a: b\n" + " x\n" * 700_000
    start = time.process_time()

    (fields,) = parse_deb822(text)

    assert fields["a"] == "b" + "\nx" * 700_000
    assert time.process_time() - start < PATIENCE
