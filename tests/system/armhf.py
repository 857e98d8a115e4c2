"""32-bit programs for the guest: Debian's armhf busybox, and some of a few words."""

import functools
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stepvisor.guest.apt import AptArchive
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.cache import cache_directory, locked, write_atomic
from stepvisor.guest.distribution import DEFAULT_RELEASE, RELEASES

__all__ = ("BASE", "armhf_busybox", "program")

BASE = 0x10000
"""Address of the first byte of a :func:`program`'s file."""

_CODE = 0x1000
_EM_ARM, _EF_ARM_EABI5 = 40, 0x0500_0000


@functools.cache
def armhf_busybox() -> bytes:
    """Debian's static busybox for armhf, fetched once as guests are."""
    directory = cache_directory() / "tests"
    path = directory / f"busybox-armhf-{DEFAULT_RELEASE}"
    with locked(directory, lambda: None):
        if not path.is_file():
            write_atomic(path, _fetch())
    return path.read_bytes()


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory(prefix="stepvisor-test-") as work:
        archive = AptArchive(RELEASES[DEFAULT_RELEASE], Path(work), architecture="armhf")
        return extract_from_deb(archive.download("busybox-static"), r"(?:usr/)?bin/busybox")


def program(code: bytes | Sequence[int], *, thumb: bool = False) -> bytes:
    """An executable of `code` (bytes, or A32 words) at ``BASE + 0x1000``, where it starts."""
    text = code if isinstance(code, bytes) else struct.pack(f"<{len(code)}I", *code)
    entry = BASE + _CODE + thumb
    size = _CODE + len(text)
    header = struct.pack("<4s5B7x", b"\x7fELF", 1, 1, 1, 0, 0)
    header += struct.pack("<HHIIII", 2, _EM_ARM, 1, entry, 52, 0)
    header += struct.pack("<IHHHHHH", _EF_ARM_EABI5, 52, 32, 1, 0, 0, 0)
    header += struct.pack("<8I", 1, 0, BASE, BASE, size, size, 5, _CODE)
    return header.ljust(_CODE, b"\0") + text
