"""The running kernel's memory by virtual address, as its own page tables have it at that moment."""

from typing import Final

from stepvisor.symbols.kaslr import Mapping, ReadPhysical, walk

__all__ = ("UPPER_HALF", "VirtualMemory")

UPPER_HALF: Final = 1 << 55
"""The bit of an address that selects TTBR1_EL1, where kernels are."""

_SMALLEST_PAGE_BITS: Final = 12
_MAX_KNOWN: Final = 1 << 14


class VirtualMemory:
    """Reads the upper half of the address space. What was looked up once is not looked up again."""

    def __init__(self, read_physical: ReadPhysical, *, ttbr1: int, tcr: int) -> None:
        """`ttbr1` and `tcr` are TTBR1_EL1 and TCR_EL1 of a vCPU that runs in the kernel."""
        self._read_physical = read_physical
        self._ttbr1 = ttbr1
        self._tcr = tcr
        self._known: dict[int, Mapping | None] = {}

    def physical(self, address: int) -> int | None:
        """Guest physical address, None where nothing is mapped."""
        mapping = self._mapping(address)
        return None if mapping is None else mapping.output(address)

    def guarded(self, address: int) -> bool:
        """Whether an indirect branch to it must find a landing pad, as far as its page says."""
        mapping = self._mapping(address)
        return mapping is not None and mapping.guarded

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes, or fewer where something is not mapped: neighbours may lie far apart."""
        parts = []
        while size > 0:
            mapping = self._mapping(address)
            if mapping is None:
                break
            length = min(size, mapping.virtual + mapping.size - address)
            part = self._read_physical(mapping.output(address), length)
            parts.append(part)
            if len(part) < length:
                break
            address += length
            size -= length
        return b"".join(parts)

    def integer(self, address: int, size: int = 8) -> int | None:
        """A little-endian number, None where nothing is mapped."""
        raw = self.read(address, size)
        return int.from_bytes(raw, "little") if len(raw) == size else None

    def _mapping(self, address: int) -> Mapping | None:
        if not address & UPPER_HALF:
            return None
        page = address >> _SMALLEST_PAGE_BITS
        if page not in self._known:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[page] = walk(self._read_physical, self._ttbr1, self._tcr, address)
        return self._known[page]
