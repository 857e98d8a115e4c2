"""The virtual address that a kernel Image was linked for.

An Image holds no such field. It follows from kallsyms_relative_base when that value is stored in
place, or from the R_AARCH64_RELATIVE relocation that will store it (Linux 6.1), and from where the
first instructions branch to, which ties symbols to offsets in the file.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ("branch_target", "guess_link_base", "relocated_base")

_R_AARCH64_RELATIVE: Final = 0x403
_SECTION_ALIGNMENT: Final = 2 << 20
_KERNEL_HALF: Final = 1 << 63
_MODERN_BASE: Final = 0xFFFF_8000_8000_0000
_OPCODE_MASK: Final = 0xFC00_0000
_OPCODE_B: Final = 0x1400_0000
_MAX_RELOCATIONS: Final = 1 << 22
"""Ten times those of a distribution's kernel."""
_QUANTILE: Final = 0.002


def branch_target(data: bytes) -> int | None:
    """Offset in the Image that its first instructions branch to, the kernel's entry point.

    The branch is the second instruction of an Image with an EFI stub, else the first
    (Linux arch/arm64/kernel/head.S).
    """
    for position in (4, 0):
        word = int.from_bytes(data[position : position + 4], "little")
        if word & _OPCODE_MASK == _OPCODE_B:
            distance = (word & ~_OPCODE_MASK) * 4
            target = position + distance
            return target if target < len(data) else None
    return None


def relocated_base(
    data: bytes, place: int, distance: int | None, text_offset: int
) -> tuple[int, int] | None:
    """Find the relocation that stores kallsyms_relative_base.

    :param place: Offset in the Image of kallsyms_relative_base.
    :param distance: relative_base minus the link base, None when not known.
    :return: The stored value and the link base, None when no relocation fits.
    """
    places, values = _relocations(data)
    if distance is not None:
        fits = values - places == np.uint64((distance - place) % (1 << 64))
        bases = values - np.uint64(distance)
    else:
        bases = places - np.uint64(place)
        fits = (bases % np.uint64(_SECTION_ALIGNMENT) == text_offset) & (
            values - bases < np.uint64(_SECTION_ALIGNMENT)
        )
    fits &= bases >= np.uint64(_KERNEL_HALF)
    hits = np.flatnonzero(fits)
    if not len(hits):
        return None
    return int(values[hits[0]]), int(bases[hits[0]])


def guess_link_base(data: bytes, image_size: int, text_offset: int) -> int:
    """Link base of an Image whose symbols do not tell it (Linux 7.0 and later).

    The lowest 2 MiB of the Image are pointed to by some relocation; few point below it. An Image
    without such relocations gets the base that arm64 kernels have had since Linux 6.9.
    """
    _, values = _relocations(data)
    values = np.sort(values[values >= np.uint64(_KERNEL_HALF)])
    if not len(values):
        return _MODERN_BASE + text_offset
    low = int(values[int(len(values) * _QUANTILE)])
    base = low - (low - text_offset) % _SECTION_ALIGNMENT
    middle = int(values[len(values) // 2])
    return base if base <= middle < base + image_size else _MODERN_BASE + text_offset


def _relocations(data: bytes) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Places and values of all R_AARCH64_RELATIVE entries (Elf64_Rela, 24 bytes, aligned to 8)."""
    words = np.frombuffer(data, "<u8", count=len(data) // 8)
    kinds = np.flatnonzero(words == _R_AARCH64_RELATIVE)[:_MAX_RELOCATIONS]
    kinds = kinds[(kinds > 0) & (kinds < len(words) - 1)]
    places, values = words[kinds - 1], words[kinds + 1]
    kernel = places >= np.uint64(_KERNEL_HALF)
    return places[kernel], values[kernel]
