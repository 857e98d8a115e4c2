"""Compressed data, recognised by its first bytes and unpacked within a size limit.

gzip, bzip2, xz and lzma come from the standard library. zstd and lz4 need a library of their own
(`compression.zstd` of Python 3.14 or `zstandard`, and `lz4`), which is asked for by name only when
such data turns up.
"""

import bz2
import importlib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Protocol

from stepvisor.budget import Deadline
from stepvisor.errors import ArchiveError, SetupError

__all__ = ("MAX_UNPACKED", "decompress", "identify", "unpack")

MAX_UNPACKED: Final = 512 << 20
"""Bytes that unpacking may produce: more than any kernel, less than a laptop's memory."""

_LZ4_LEGACY: Final = b"\x02\x21\x4c\x18"
_LZ4_LEGACY_BLOCK: Final = 8 << 20
_LZMA_MEMORY: Final = 256 << 20
"""What a dictionary of 128 MiB needs, the largest that kernels are packed with, and more."""
_ZSTD_WINDOW: Final = 1 << 27
_INPUT: Final = 1 << 16
_OUTPUT: Final = 1 << 20
_SECONDS: Final = 300
"""Far more than the largest kernel takes on a slow and busy machine."""

_MAGICS: Final[Mapping[bytes, str]] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x5d\x00\x00": "lzma",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    _LZ4_LEGACY: "lz4",
    b"\x89LZO": "lzo",
}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def identify(data: bytes) -> str | None:
    """Name of the compression that `data` starts with, None when it is none that is known."""
    return next((name for magic, name in _MAGICS.items() if data.startswith(magic)), None)


def decompress(data: bytes, *, limit: int = MAX_UNPACKED) -> bytes:
    """Unpack `data`, whatever its compression; bytes after the compressed stream are ignored.

    :raise ArchiveError: When it is not compressed, damaged, cut short, unpacks to more than
        `limit` bytes, or takes too long.
    :raise SetupError: When a library is missing.
    """
    kind = identify(data) or "unknown"
    out = bytearray()
    for piece in unpack(kind, data):
        out += piece
        if len(out) > limit:
            raise ArchiveError(f"{kind} data unpacks to more than {limit >> 20} MiB: refused")
    return bytes(out)


def unpack(kind: str, data: bytes | memoryview) -> Iterator[bytes]:
    """What `data` unpacks to, in pieces of about a megabyte, as far as one asks for them.

    :param kind: As `identify` names it.
    :raise ArchiveError: As `decompress` does.
    :raise SetupError: When a library is missing.
    """
    opener = _OPENERS.get(kind)
    if opener is None:
        raise ArchiveError(f"compression {kind} is not supported: unpack the file first")
    deadline = Deadline(
        _SECONDS, ArchiveError(f"{kind} data takes more than {_SECONDS} s to unpack: refused")
    )
    try:
        for piece in opener(data):
            deadline.check()
            yield piece
    except (ArchiveError, SetupError):
        raise
    except Exception as error:  # optional libraries have error classes of their own
        raise ArchiveError(f"{kind} data is damaged ({error})") from error


def _drain(kind: str, decompressor: _Decompressor, data: bytes | memoryview) -> Iterator[bytes]:
    count = 0
    for start in range(0, len(data), _INPUT):
        chunk = bytes(data[start : start + _INPUT])
        while True:
            piece = decompressor.decompress(chunk, _OUTPUT)
            chunk = b""
            count += len(piece)
            yield piece
            if decompressor.eof:
                return
            if decompressor.needs_input:
                break
    raise ArchiveError(f"{kind} data is cut short after {count} unpacked bytes")


class _Gzip:
    """zlib's decompressor in the form of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _optional(kind: str, *modules: str) -> Any:
    for name in modules:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    package = modules[-1].partition(".")[0]
    raise SetupError(f"{kind} data needs the Python package '{package}': pip install {package}")


def _zstd(data: bytes | memoryview) -> Iterator[bytes]:
    library = _optional("zstd", "compression.zstd", "zstandard")
    raw = io.BytesIO(data)
    if library.__name__ == "compression.zstd":
        reader = library.ZstdFile(raw)
    else:
        reader = library.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(raw)
    with reader:
        while piece := reader.read(_OUTPUT):
            yield piece


def _lz4(data: bytes | memoryview) -> Iterator[bytes]:
    if data[: len(_LZ4_LEGACY)] == _LZ4_LEGACY:
        return _lz4_legacy(data)
    return _drain("lz4", _optional("lz4", "lz4.frame").LZ4FrameDecompressor(), data)


def _lz4_legacy(data: bytes | memoryview) -> Iterator[bytes]:
    """The format of `lz4 -l`, which the kernel's build uses: sized blocks of up to 8 MiB each."""
    block = _optional("lz4", "lz4.block")
    position = len(_LZ4_LEGACY)
    while position + 4 <= len(data):
        size = int.from_bytes(data[position : position + 4], "little")
        position += 4
        if not 0 < size <= len(data) - position:
            break  # whatever the build appended after the last block
        packed = bytes(data[position : position + size])
        yield block.decompress(packed, uncompressed_size=_LZ4_LEGACY_BLOCK)
        position += size


_OPENERS: Final[Mapping[str, Callable[[bytes | memoryview], Iterator[bytes]]]] = {
    "gzip": lambda data: _drain("gzip", _Gzip(), data),
    "bzip2": lambda data: _drain("bzip2", bz2.BZ2Decompressor(), data),
    "xz": lambda data: _drain("xz", lzma.LZMADecompressor(memlimit=_LZMA_MEMORY), data),
    "lzma": lambda data: _drain("lzma", lzma.LZMADecompressor(memlimit=_LZMA_MEMORY), data),
    "zstd": _zstd,
    "lz4": _lz4,
}
