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
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from stepvisor.errors import ArchiveError, SetupError

__all__ = ("MAX_UNPACKED", "decompress", "identify", "open_zstd")

MAX_UNPACKED: Final = 512 << 20
"""Bytes that unpacking may produce: more than any kernel, less than a laptop's memory."""

_LZ4_LEGACY: Final = b"\x02\x21\x4c\x18"
_LZ4_LEGACY_BLOCK: Final = 8 << 20
_LZMA_MEMORY: Final = 1 << 30
_ZSTD_WINDOW: Final = 1 << 27

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

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def identify(data: bytes) -> str | None:
    """Name of the compression that `data` starts with, None when it is none that is known."""
    return next((name for magic, name in _MAGICS.items() if data.startswith(magic)), None)


def decompress(data: bytes, *, limit: int = MAX_UNPACKED) -> bytes:
    """Unpack `data`, whatever its compression; bytes after the compressed stream are ignored.

    :raise ArchiveError: When it is not compressed, damaged, cut short, or unpacks to more than
        `limit` bytes.
    :raise SetupError: When a library is missing.
    """
    kind = identify(data)
    unpack = _UNPACKERS.get(kind or "")
    if unpack is None:
        raise ArchiveError(
            f"compression {kind or 'unknown'} is not supported: unpack the file first"
        )
    out = unpack(data, limit)
    if len(out) > limit:
        raise ArchiveError(f"{kind} data unpacks to more than {limit >> 20} MiB: refused")
    return out


def _drain(kind: str, decompressor: _Decompressor, data: bytes, limit: int) -> bytes:
    try:
        out = decompressor.decompress(data, limit + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, MemoryError) as error:
        raise ArchiveError(f"{kind} data is damaged ({error})") from error
    if not decompressor.eof and len(out) <= limit:
        raise ArchiveError(f"{kind} data is cut short after {len(out)} unpacked bytes")
    return out


def _gzip(data: bytes, limit: int) -> bytes:
    return _drain("gzip", zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), data, limit)


def _bzip2(data: bytes, limit: int) -> bytes:
    return _drain("bzip2", bz2.BZ2Decompressor(), data, limit)


def _lzma(data: bytes, limit: int) -> bytes:
    return _drain("xz", lzma.LZMADecompressor(memlimit=_LZMA_MEMORY), data, limit)


def _optional(kind: str, *modules: str) -> Any:
    for name in modules:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    package = modules[-1].partition(".")[0]
    raise SetupError(f"{kind} data needs the Python package '{package}': pip install {package}")


def open_zstd(raw: io.BytesIO) -> Any:
    """Open zstd data as a stream to read from.

    :raise SetupError: When there is no library for it.
    """
    library = _optional("zstd", "compression.zstd", "zstandard")
    if library.__name__ == "compression.zstd":
        return library.ZstdFile(raw)
    return library.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(raw)


def _zstd(data: bytes, limit: int) -> bytes:
    def read() -> bytes:
        with open_zstd(io.BytesIO(data)) as reader:
            out: bytes = reader.read(limit + 1)
            return out

    return _guarded("zstd", read)


def _lz4(data: bytes, limit: int) -> bytes:
    if data.startswith(_LZ4_LEGACY):
        return _guarded("lz4", lambda: _lz4_legacy(data, limit))
    frame = _optional("lz4", "lz4.frame")
    return _guarded("lz4", lambda: _drain("lz4", frame.LZ4FrameDecompressor(), data, limit))


def _lz4_legacy(data: bytes, limit: int) -> bytes:
    """The format of `lz4 -l`, which the kernel's build uses: sized blocks of up to 8 MiB each."""
    block = _optional("lz4", "lz4.block")
    out = bytearray()
    position = len(_LZ4_LEGACY)
    while position + 4 <= len(data) and len(out) <= limit:
        size = int.from_bytes(data[position : position + 4], "little")
        position += 4
        if not 0 < size <= len(data) - position:
            break  # whatever the build appended after the last block
        out += block.decompress(
            data[position : position + size], uncompressed_size=_LZ4_LEGACY_BLOCK
        )
        position += size
    return bytes(out)


def _guarded(kind: str, unpack: Callable[[], bytes]) -> bytes:
    try:
        return unpack()
    except (ArchiveError, SetupError):
        raise
    except Exception as error:  # optional libraries have error classes of their own
        raise ArchiveError(f"{kind} data is damaged ({error})") from error


_UNPACKERS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _lzma,
    "lzma": _lzma,
    "zstd": _zstd,
    "lz4": _lz4,
}
