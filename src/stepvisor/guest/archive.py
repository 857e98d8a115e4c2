"""Take single files out of Debian packages (.deb), without dpkg.

A .deb is an `ar` archive whose member `data.tar` is compressed with xz, zstd, gzip or not at all
(deb(5)). The tar is read as a stream and nothing is written, so a hostile package can neither fill
the memory nor place files.
"""

import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from stepvisor.errors import ArchiveError
from stepvisor.guest.compression import unpack
from stepvisor.inputs import read_input

__all__ = ("MAX_MEMBER", "extract_from_deb")

MAX_MEMBER: Final = 256 << 20
"""Bytes that a file taken out of a package may have."""

_MAX_STREAM: Final = 2 << 30
_MAX_PACKAGE: Final = 512 << 20
_MAX_NAME: Final = 1 << 16
_BLOCK: Final = 512
_PLAIN_FILES: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_PAX: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_PAX_PATH: Final = re.compile(rb"(?<![^\n])[0-9]{1,6} path=([^\n]*)\n")
_SPECIAL: Final = (
    *_PAX,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
"""Headers of the entry after them."""
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
    data = read_input(package, "package", _MAX_PACKAGE, ArchiveError)
    try:
        found = _find(_open_stream(*_data_member(data)), re.compile(pattern))
    except ArchiveError as error:
        raise ArchiveError(f"package {package}: {error}") from error
    except (tarfile.TarError, ValueError) as error:
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


_KINDS: Final[Mapping[str, str]] = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}


def _open_stream(name: str, payload: memoryview) -> "_Stream":
    suffix = name.removeprefix("data.tar")
    if not suffix:
        return _Stream(iter((payload,)))
    if suffix not in _KINDS:
        raise ArchiveError(f"has a {name}, of a compression that is not supported")
    return _Stream(unpack(_KINDS[suffix], payload))


class _Stream:
    """The bytes of a tar, in order, an error instead of more of them than any package has."""

    def __init__(self, pieces: Iterator[bytes | memoryview]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")
        self._left = _MAX_STREAM

    @property
    def ended(self) -> bool:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return True
            self._left -= len(piece)
            if self._left < 0:
                raise ArchiveError(f"unpacks to more than {_MAX_STREAM >> 30} GiB: refused")
            self._piece = memoryview(piece)
        return False

    def read(self, size: int) -> bytes:
        """Fewer than `size` bytes only at the end."""
        return b"".join(self._parts(size))

    def skip(self, size: int) -> None:
        for _ in self._parts(size):
            pass

    def _parts(self, size: int) -> Iterator[memoryview]:
        while size and not self.ended:
            part, self._piece = self._piece[:size], self._piece[size:]
            size -= len(part)
            yield part


def _find(stream: _Stream, pattern: re.Pattern[str]) -> bytes | None:
    """The first regular file that fits.

    Every header is read here, because Python's `tarfile` takes in a long name whole, however long.
    """
    long_name = ""
    for _ in range(_MAX_ENTRIES):
        block = stream.read(_BLOCK)
        if not any(block):
            return None
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if entry.size < 0:
            raise ArchiveError("is damaged (a file of negative size): download it again")
        if entry.type in _SPECIAL:
            long_name = _long_name(entry, stream) or long_name
            continue
        name, long_name = (long_name or entry.name).removeprefix("./"), ""
        if entry.type in _PLAIN_FILES and pattern.fullmatch(name):
            return _contents(name, entry.size, stream)
        if entry.isreg() or entry.type not in tarfile.SUPPORTED_TYPES:
            stream.skip(_padded(entry.size))
    raise ArchiveError("has too many files: refused")


def _contents(name: str, size: int, stream: _Stream) -> bytes:
    if size > MAX_MEMBER:
        raise ArchiveError(f"has a {name} of {size:,} bytes: refused")
    data = stream.read(size)
    if len(data) != size:
        raise ArchiveError(f"is cut short within {name}: download it again")
    return data


def _long_name(entry: tarfile.TarInfo, stream: _Stream) -> str:
    """The name in a header that holds nothing else, empty when it holds something else."""
    if entry.size > _MAX_NAME:
        raise ArchiveError(f"has a header of {entry.size:,} bytes: refused")
    data = stream.read(_padded(entry.size))[: entry.size]
    if entry.type == tarfile.GNUTYPE_LONGNAME:
        return data.split(b"\0")[0].decode("utf-8", "surrogateescape")
    found = _PAX_PATH.search(data) if entry.type in _PAX else None
    return found[1].decode("utf-8", "surrogateescape") if found else ""


def _padded(size: int) -> int:
    return size + -size % _BLOCK
