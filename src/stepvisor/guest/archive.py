"""Take single files out of Debian packages (.deb), without dpkg.

A .deb is an `ar` archive whose member `data.tar` is compressed with xz, zstd, gzip or not at all
(deb(5)). The tar is read as a stream and nothing is written, so a hostile package can neither fill
the memory nor place files.
"""

import gzip
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from stepvisor.errors import ArchiveError
from stepvisor.guest.compression import open_zstd

__all__ = ("MAX_MEMBER", "extract_from_deb")

MAX_MEMBER: Final = 256 << 20
"""Bytes that a file taken out of a package may have."""

_MAX_STREAM: Final = 2 << 30
_READ_SIZE: Final = 1 << 20
_MAX_ENTRIES: Final = 100_000
_AR_MAGIC: Final = b"!<arch>\n"
_AR_HEADER: Final = 60
_AR_END: Final = b"`\n"
_MAX_AR_MEMBERS: Final = 16


def extract_from_deb(package: Path, pattern: str) -> bytes:
    """Return the first regular file in a package whose path fits a regular expression.

    :param pattern: For the whole path, without leading `./`.
    :raise ArchiveError: When the package cannot be read, is damaged, or has no such file.
    """
    try:
        data = package.read_bytes()
    except OSError as error:
        raise ArchiveError(f"package {package}: cannot be read ({error.strerror})") from error
    try:
        name, payload = _data_member(data)
        with _open_stream(name, payload) as stream:
            found = _find(stream, re.compile(pattern))
    except ArchiveError as error:
        raise ArchiveError(f"package {package}: {error}") from error
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError) as error:
        raise ArchiveError(f"package {package}: is damaged ({error}): download it again") from error
    if found is None:
        raise ArchiveError(f"package {package}: has no file {pattern}")
    return found


def _data_member(data: bytes) -> tuple[str, memoryview]:
    """Name and contents of the member `data.tar...` of the ar archive."""
    if not data.startswith(_AR_MAGIC):
        raise ArchiveError("is not a Debian package (no ar archive)")
    position = len(_AR_MAGIC)
    for _ in range(_MAX_AR_MEMBERS):
        header = data[position : position + _AR_HEADER]
        if len(header) < _AR_HEADER or header[58:60] != _AR_END:
            break
        size = _decimal(header[48:58])
        name = header[:16].decode("ascii", "replace").rstrip().rstrip("/")
        start = position + _AR_HEADER
        if start + size > len(data):
            raise ArchiveError(f"is cut short within {name}: download it again")
        if name.startswith("data.tar"):
            return name, memoryview(data)[start : start + size]
        position = start + size + size % 2
    raise ArchiveError("is not a Debian package (no data.tar in it)")


def _decimal(field: bytes) -> int:
    text = field.strip()
    if not text.isdigit():
        raise ArchiveError("is damaged (a member without size)")
    return int(text)


def _open_stream(name: str, payload: memoryview) -> io.BufferedReader:
    opener = _OPENERS.get(name.removeprefix("data.tar"))
    if opener is None:
        raise ArchiveError(f"has a {name}, of a compression that is not supported")
    return io.BufferedReader(_Bounded(opener(io.BytesIO(payload))), _READ_SIZE)


_OPENERS: Final[Mapping[str, Callable[[io.BytesIO], Any]]] = {
    "": lambda raw: raw,
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".xz": lzma.LZMAFile,
    ".zst": open_zstd,
}


class _Bounded(io.RawIOBase):
    """A readable stream that ends in an error instead of going on for ever."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _MAX_STREAM

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        out = self._stream.read(len(view))
        self._left -= len(out)
        if self._left < 0:
            raise ArchiveError(f"unpacks to more than {_MAX_STREAM >> 30} GiB: refused")
        view[: len(out)] = out
        return len(out)


def _find(stream: io.BufferedReader, pattern: re.Pattern[str]) -> bytes | None:
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for count, entry in enumerate(tar):
            if count > _MAX_ENTRIES:
                raise ArchiveError("has too many files: refused")
            name = entry.name.removeprefix("./")
            if not entry.isreg() or not pattern.fullmatch(name):
                continue
            if entry.size > MAX_MEMBER:
                raise ArchiveError(f"has a {name} of {entry.size:,} bytes: refused")
            contents = tar.extractfile(entry)
            data = contents.read() if contents is not None else b""
            if len(data) != entry.size:
                raise ArchiveError(f"is cut short within {name}: download it again")
            return data
    return None
