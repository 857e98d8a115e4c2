"""Fields of an instruction word."""

from collections.abc import Callable
from typing import TypeAlias

from stepvisor.monitor.emulation import Emulation

__all__ = ("Decoders", "bits", "ones", "signed")

Decoders: TypeAlias = tuple[tuple[int, int, Callable[[int], Emulation | None]], ...]
"""(mask, value, decoder): instructions of one encoding group.

A decoder returns None for what the architecture leaves unallocated or unpredictable.
"""


def bits(word: int, low: int, width: int) -> int:
    """`width` bits of `word` from bit `low`."""
    return word >> low & ones(width)


def signed(value: int, width: int) -> int:
    """`value` of `width` bits, in 64 bits of two's complement."""
    sign = 1 << (width - 1)
    return ((value ^ sign) - sign) & ones(64)


def ones(width: int) -> int:
    """That many bits set."""
    return (1 << width) - 1
