"""arm64 kernel Images: the file that is booted, checked before anything runs.

The header is that of Linux Documentation/arch/arm64/booting.rst; the section table of its EFI stub
(a PE/COFF header) tells how long the file must be, because `image_size` counts the memory that the
running kernel needs, .bss included. Compressed Images and EFI zboot files
(drivers/firmware/efi/libstub/zboot-header.S) are unpacked.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stepvisor.errors import ArchiveError, ImageError, SetupError
from stepvisor.guest.compression import MAX_UNPACKED, decompress, identify
from stepvisor.guest.foreign import describe_foreign
from stepvisor.inputs import read_input

__all__ = ("KernelImage", "load_image", "parse_image")

_HEADER: Final = struct.Struct("<2I3Q3Q4sI")
_MAGIC: Final = b"ARM\x64"
_FLAG_BIG_ENDIAN: Final = 1
_MAX_NESTING: Final = 3
_BANNER: Final = re.compile(rb"Linux version \d[ -~]{1,500}")

_PE_MAGIC: Final = b"PE\0\0"
_PE_MACHINE_ARM64: Final = 0xAA64
_COFF: Final = struct.Struct("<2H3I2H")
_SECTION: Final = struct.Struct("<8s4I16x")
_MAX_SECTIONS: Final = 96

_ZBOOT: Final = struct.Struct("<4s4s2I8x32s")


@dataclass(frozen=True)
class KernelImage:
    """An arm64 `Image`, unpacked and ready to be placed in memory."""

    data: bytes
    """The Image itself, from its first instruction (`_text`)."""
    text_offset: int
    """Bytes from a 2 MiB boundary at which the kernel wants to be loaded."""
    image_size: int
    """Bytes of memory that it needs from there, .bss included."""
    flags: int
    """Header flags: bit 0 endianness, bits 2:1 page size, bit 3 anywhere in memory."""
    path: Path
    """File that it came from."""
    banner: str
    """The kernel's own version line ("Linux version 6.12..."), empty when it has none."""
    packing: tuple[str, ...] = ()
    """What it was unpacked from, outermost first: "zboot", "gzip", ..."""

    @property
    def release(self) -> str:
        """Kernel release as `uname -r` prints it, empty when there is no banner."""
        return self.banner.split(" ")[2] if self.banner else ""

    def __repr__(self) -> str:
        return f"KernelImage({str(self.path)!r}, release={self.release!r}, {len(self.data)} bytes)"


def load_image(path: str | Path) -> KernelImage:
    """Read a kernel Image, unpack it if it is compressed, and check it.

    :raise ImageError: When the file cannot be read or is no arm64 Image that can be booted.
    """
    path = Path(path)
    hint = ": give the Image file in it (often vmlinuz)"
    return parse_image(read_input(path, "kernel", MAX_UNPACKED, ImageError, hint), path)


def parse_image(data: bytes, path: Path) -> KernelImage:
    """Check the bytes of a kernel file; `path` only names it in messages.

    :raise ImageError: When they are no arm64 Image that can be booted.
    """
    packing: list[str] = []
    while (layer := _unpack_layer(data, path)) is not None:
        if len(packing) == _MAX_NESTING:
            raise _error(path, f"is packed more than {_MAX_NESTING} times: unpack it first")
        name, data = layer
        packing.append(name)
    text_offset, image_size, flags = _check_header(data, path)
    _check_length(data, path)
    match = _BANNER.search(data)
    banner = match.group().decode("ascii") if match else ""
    return KernelImage(data, text_offset, image_size, flags, path, banner, tuple(packing))


def _error(path: Path, what: str) -> ImageError:
    return ImageError(f"kernel {path}: {what}")


def _unpack_layer(data: bytes, path: Path) -> tuple[str, bytes] | None:
    """The outermost packing and what is in it, None when there is none."""
    if data[:2] == b"MZ" and data[4:8] == b"zimg":
        return "zboot", _zboot_payload(data, path)
    kind = identify(data)
    if kind is None:
        return None
    try:
        return kind, decompress(data)
    except ArchiveError as error:
        raise _error(path, f"cannot be unpacked: {error}") from error
    except SetupError as error:
        raise _error(path, f"is packed with {kind}: {error}") from error


def _zboot_payload(data: bytes, path: Path) -> bytes:
    if len(data) < _ZBOOT.size:
        raise _error(path, "is truncated within its EFI zboot header")
    _, _, offset, size, compression = _ZBOOT.unpack_from(data)
    payload = data[offset : offset + size]
    if offset < _ZBOOT.size or len(payload) < size or not payload:
        raise _error(
            path,
            f"is a truncated EFI zboot file: its payload should be bytes {offset:,} to "
            f"{offset + size:,}, the file has {len(data):,}: copy it again",
        )
    if payload[:2] != b"MZ" and identify(payload) is None:
        name = compression.split(b"\0")[0].decode("ascii", "replace")
        raise _error(path, f"is an EFI zboot file with a payload of unknown form ({name!r})")
    return payload


def _check_header(data: bytes, path: Path) -> tuple[int, int, int]:
    """Return text_offset, image_size and flags."""
    if not data:
        raise _error(path, "is empty")
    if len(data) < _HEADER.size or data[56:60] != _MAGIC:
        raise _error(path, describe_foreign(data))
    _, _, text_offset, image_size, flags, *_ = _HEADER.unpack_from(data)
    if flags & _FLAG_BIG_ENDIAN:
        raise _error(path, "is a big-endian kernel: only little-endian ones can be traced")
    if not image_size:
        raise _error(path, "has no image size in its header (before Linux 3.17): too old")
    if image_size > MAX_UNPACKED or text_offset >= 2 << 20:
        raise _error(path, "has an Image header with impossible sizes: the file is damaged")
    return text_offset, image_size, flags


def _check_length(data: bytes, path: Path) -> None:
    needed = max(_section_ends(data), default=0)
    if len(data) < needed:
        raise _error(
            path,
            f"is truncated: {len(data):,} bytes of {needed:,}: copy or download it again",
        )


def _section_ends(data: bytes) -> Iterator[int]:
    """Where each section of the EFI stub's PE/COFF header ends in the file.

    Nothing for an Image built without the stub, which does not say how long it is.
    """
    start = int.from_bytes(data[0x3C:0x40], "little")
    if data[:2] != b"MZ" or not start:
        return
    yield start + 4 + _COFF.size
    if len(data) < start + 4 + _COFF.size or data[start : start + 4] != _PE_MAGIC:
        return
    machine, sections, _, _, _, optional_size, _ = _COFF.unpack_from(data, start + 4)
    table = start + 4 + _COFF.size + optional_size
    if machine != _PE_MACHINE_ARM64 or sections > _MAX_SECTIONS:
        return
    yield table + sections * _SECTION.size
    for index in range(sections):
        position = table + index * _SECTION.size
        if position + _SECTION.size > len(data):
            return
        _, _, _, raw_size, raw_offset = _SECTION.unpack_from(data, position)
        yield raw_offset + raw_size
