"""Where kernel, device tree and initramfs go in guest RAM.

Rules: the kernel at a 2 MiB boundary plus its own text offset, with ``image_size`` bytes free
(more than the file: it holds .bss); the device tree 8-byte aligned and at most 2 MiB; source:
Linux ``Documentation/arch/arm64/booting.rst``. Each part starts a 2 MiB block of its own.
"""

from dataclasses import dataclass

from stepvisor.errors import GuestConfigError
from stepvisor.machine.config import MIB

__all__ = ("Placement", "place")

_BLOCK = 2 * MIB

_HEADROOM = 128 * MIB
"""What a kernel needs besides its image; Debian's set 64 MiB aside for DMA alone."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Physical addresses."""

    kernel: int
    """First byte of the Image, which is its first instruction."""
    tree: int
    tree_room: int
    """Bytes reserved for the device tree."""
    initrd: int
    """Start of the initramfs; meaningless when there is none."""


def place(
    *, base: int, size: int, text_offset: int, image_size: int, initrd_size: int
) -> Placement:
    """Lay the parts out in the guest's memory of `size` bytes at `base` (2 MiB aligned).

    :raise GuestConfigError: When they do not fit.
    """
    kernel = base + text_offset
    tree = _round_up(kernel + image_size)
    initrd = tree + _BLOCK
    end = _round_up(initrd + initrd_size)
    needed = end - base + initrd_size + _HEADROOM
    if size < needed:
        message = (
            f"too little memory: {size // MIB} MiB, this guest needs at least"
            f" {-(-needed // _BLOCK) * 2} MiB; give more with --memory"
        )
        raise GuestConfigError(message)
    return Placement(kernel=kernel, tree=tree, tree_room=_BLOCK, initrd=initrd)


def _round_up(address: int) -> int:
    return (address + _BLOCK - 1) & -_BLOCK
