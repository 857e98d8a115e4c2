"""Where the running kernel is: KASLR undone by walking the guest's live page tables.

Nothing is trusted: the tables belong to the guest, change under our eyes, and may be hostile. Every
walk has a bounded number of reads, whatever they hold.

Formats: Arm ARM, "The AArch64 Virtual Memory System Architecture", TCR_EL1, TTBR1_EL1, and
"VMSAv8-64 translation table format descriptors"; granules of 4K, 16K and 64K, addresses of up to 52
bits, 52-bit outputs with 64K granules (FEAT_LPA) and with 4K and 16K (FEAT_LPA2, TCR_EL1.DS).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ("Mapping", "ReadPhysical", "find_kernel_base", "translate", "walk")

ReadPhysical = Callable[[int, int], bytes]
"""`read_physical(address, size)` gives guest memory, or fewer bytes where there is none."""

_Array = npt.NDArray[np.uint64]
_Mask = npt.NDArray[np.bool_]

_MAX_TABLES: Final = 1 << 14
_DESCRIPTOR_SIZE: Final = 8
_WORD: Final = (1 << 64) - 1
_LAST_LEVEL: Final = 3

_VALID: Final = 0b01
_TABLE_OR_PAGE: Final = 0b11
_GP: Final = 1 << 50
_PXN: Final = 1 << 53
_PXN_TABLE: Final = 1 << 59

_TCR_HPD1: Final = 1 << 42
_TCR_DS: Final = 1 << 59
_IPS_52_BITS: Final = 6
_GRANULES_0: Final = {0b00: 12, 0b01: 16, 0b10: 14}
_GRANULES_1: Final = {0b01: 14, 0b10: 12, 0b11: 16}


@dataclass(frozen=True, slots=True)
class Mapping:
    """One block or page of a translation."""

    virtual: int
    """First virtual address."""
    physical: int
    """First physical address."""
    size: int
    executable: bool
    """Whether EL1 may execute it, as far as PXN says."""
    guarded: bool = False
    """Whether an indirect branch must lead to a landing pad (FEAT_BTI)."""

    def output(self, va: int) -> int:
        """Physical address of a virtual address in the mapping."""
        return self.physical + va - self.virtual


@dataclass(frozen=True, slots=True)
class _Regime:
    """One half of the address space, as TCR_EL1 and a TTBR describe it."""

    top: bool
    page_bits: int
    address_bits: int
    wide_output: bool
    """Output addresses of 52 bits."""
    ds: bool
    hierarchical: bool
    """PXNTable counts."""
    table: int
    """Physical address of the first table."""

    @property
    def stride(self) -> int:
        """Bits of virtual address that one level translates."""
        return self.page_bits - 3

    @property
    def first_level(self) -> int:
        levels = -(-(self.address_bits - self.page_bits) // self.stride)
        return _LAST_LEVEL + 1 - levels

    @property
    def base(self) -> int:
        """Lowest virtual address of this half."""
        return _WORD - (1 << self.address_bits) + 1 if self.top else 0

    def shift(self, level: int) -> int:
        return self.page_bits + self.stride * (_LAST_LEVEL - level)

    def entries(self, level: int) -> int:
        if level == self.first_level:
            return 1 << (self.address_bits - self.shift(level))
        return 1 << self.stride

    def output(self, descriptor: int, low_bits: int) -> int:
        """Address in a descriptor, with the bits below `low_bits` cleared."""
        if self.ds:
            low, high = 50, (descriptor >> 8 & 0b11) << 50
        else:
            low, high = 48, (descriptor >> 12 & 0xF) << 48 if self.wide_output else 0
        return (descriptor & ((1 << low) - (1 << low_bits))) | high

    def encode(self, address: int) -> int:
        """Bits of a descriptor that hold an output address: `output` undone."""
        if self.ds:
            return (address & ((1 << 50) - 1)) | (address >> 50 & 0b11) << 8
        high = (address >> 48 & 0xF) << 12 if self.wide_output else 0
        return (address & ((1 << 48) - 1)) | high

    def allows_block(self, level: int) -> bool:
        if self.ds:
            return level >= {12: 0, 14: 1, 16: 1}[self.page_bits]
        return level >= {12: 1, 14: 2, 16: 1 if self.wide_output else 2}[self.page_bits]


def _regime(ttbr: int, tcr: int, *, top: bool) -> _Regime | None:
    """Decode TCR_EL1 for one half, None when it is impossible (before the guest has set it)."""
    granules = _GRANULES_1 if top else _GRANULES_0
    page_bits = granules.get(tcr >> (30 if top else 14) & 0b11)
    address_bits = 64 - (tcr >> (16 if top else 0) & 0x3F)
    if page_bits is None:
        return None
    ds = bool(tcr & _TCR_DS) and page_bits != 16
    most = 52 if ds or page_bits == 16 else 48
    if not page_bits + 4 <= address_bits <= most:
        return None
    wide = ds or (page_bits == 16 and tcr >> 32 & 0b111 == _IPS_52_BITS)
    table = ttbr & ((1 << 48) - 1) & ~0b1
    if wide:
        table = (table & ~0x3F) | (ttbr >> 2 & 0xF) << 48
    hierarchical = not tcr & (_TCR_HPD1 if top else _TCR_HPD1 >> 1)
    return _Regime(top, page_bits, address_bits, wide, ds, hierarchical, table)


def walk(read_physical: ReadPhysical, ttbr: int, tcr: int, va: int) -> Mapping | None:
    """Translate `va` as the guest's EL1 would; None when it is not mapped.

    :param ttbr: TTBR1_EL1 for addresses of the upper half (bit 55 set), else TTBR0_EL1.
    """
    regime = _regime(ttbr, tcr, top=bool(va >> 55 & 1))
    if regime is None or not 0 <= va - regime.base < 1 << regime.address_bits:
        return None
    table, executable = regime.table, True
    for level in range(regime.first_level, _LAST_LEVEL + 1):
        shift = regime.shift(level)
        index = (va - regime.base) >> shift & (regime.entries(level) - 1)
        raw = read_physical(table + index * _DESCRIPTOR_SIZE, _DESCRIPTOR_SIZE)
        if len(raw) != _DESCRIPTOR_SIZE:
            return None
        descriptor = int.from_bytes(raw, "little")
        if _is_leaf(regime, level, descriptor):
            size = 1 << shift
            output = regime.output(descriptor, shift)
            allowed = executable and not descriptor & _PXN
            guarded = bool(descriptor & _GP)
            return Mapping(va & ~(size - 1) & _WORD, output, size, allowed, guarded)
        if level == _LAST_LEVEL or descriptor & 0b11 != _TABLE_OR_PAGE:
            return None
        executable = executable and not (regime.hierarchical and descriptor & _PXN_TABLE)
        table = regime.output(descriptor, regime.page_bits)
    return None


def _is_leaf(regime: _Regime, level: int, descriptor: int) -> bool:
    if level == _LAST_LEVEL:
        return descriptor & 0b11 == _TABLE_OR_PAGE
    return descriptor & 0b11 == _VALID and regime.allows_block(level)


def translate(read_physical: ReadPhysical, ttbr: int, tcr: int, va: int) -> int | None:
    """Physical address of guest virtual address `va`, None when it is not mapped.

    :param ttbr: TTBR1_EL1 for addresses of the upper half (bit 55 set), else TTBR0_EL1.
    """
    mapping = walk(read_physical, ttbr, tcr, va)
    return None if mapping is None else mapping.output(va)


def find_kernel_base(
    read_physical: ReadPhysical,
    *,
    ttbr1: int,
    tcr: int,
    physical_base: int,
    text_offset: int,
    vbar: int = 0,
    vectors_offset: int | None = None,
) -> int | None:
    """Virtual address of the running kernel's first byte (`_text`).

    It is where the upper half of the address space maps the kernel's code executable: the linear
    map has the same memory, but not executable.

    :param ttbr1: TTBR1_EL1, ASID and all.
    :param tcr: TCR_EL1.
    :param physical_base: Physical address at which the Image was loaded.
    :param text_offset: Distance of `_stext` from the Image's first byte. (The bytes before it are
        not mapped on every kernel.)
    :param vbar: VBAR_EL1, a hint that saves the search; it is checked, never believed.
    :param vectors_offset: Distance of the symbol `vectors` from the Image's first byte.
    :return: None when the tables do not map it: the guest is too early in its boot, or this vCPU
        is at EL0 under page-table isolation. Ask again later.
    """
    target = physical_base + text_offset
    if vectors_offset is not None and vbar:
        text = (vbar - vectors_offset + text_offset) & _WORD
        mapping = walk(read_physical, ttbr1, tcr, text) if text >> 63 else None
        if mapping is not None and mapping.executable and mapping.output(text) == target:
            return text - text_offset
    regime = _regime(ttbr1, tcr, top=True)
    if regime is None:
        return None
    text_address = _Search(read_physical, regime, target).run()
    return None if text_address is None else text_address - text_offset


class _Search:
    """Depth-first search, highest addresses first, for an executable mapping of one address.

    The kernel lies above the linear map, which is by far the larger part, so this order ends early.
    """

    def __init__(self, read_physical: ReadPhysical, regime: _Regime, target: int) -> None:
        self._read = read_physical
        self._regime = regime
        self._target = target
        self._budget = _MAX_TABLES

    def run(self) -> int | None:
        """Virtual address that maps to the target, None when none does."""
        return self._table(self._regime.table, self._regime.first_level, self._regime.base)

    def _table(self, table: int, level: int, base: int) -> int | None:
        if not self._budget:
            return None
        self._budget -= 1
        raw = self._read(table, self._regime.entries(level) * _DESCRIPTOR_SIZE)
        words: _Array = np.frombuffer(raw, "<u8", count=len(raw) // _DESCRIPTOR_SIZE)
        tables = self._tables(words, level)
        shift = self._regime.shift(level)
        for index in np.flatnonzero(tables | self._hits(words, level))[::-1].tolist():
            va: int = base + (index << shift)
            if not tables[index]:
                return va + self._target % (1 << shift)
            below = self._regime.output(int(words[index]), self._regime.page_bits)
            found = self._table(below, level + 1, va)
            if found is not None:
                return found
        return None

    def _tables(self, words: _Array, level: int) -> _Mask:
        """Which descriptors lead to a further table that can map executable memory."""
        if level == _LAST_LEVEL:
            return np.zeros(len(words), np.bool_)
        forbidden = _PXN_TABLE if self._regime.hierarchical else 0
        return _fitting(words, 0b11 | forbidden, _TABLE_OR_PAGE)

    def _hits(self, words: _Array, level: int) -> _Mask:
        """Which descriptors map the target executable."""
        regime = self._regime
        if level != _LAST_LEVEL and not regime.allows_block(level):
            return np.zeros(len(words), np.bool_)
        kind = _TABLE_OR_PAGE if level == _LAST_LEVEL else _VALID
        aligned = -1 << regime.shift(level)
        address = regime.encode(((1 << 52) - 1) & aligned)
        start = regime.encode(self._target & aligned)
        return _fitting(words, 0b11 | _PXN | address, kind | start)


def _fitting(words: _Array, mask: int, value: int) -> _Mask:
    fits: _Mask = words & np.uint64(mask) == np.uint64(value)
    return fits
