"""Read the modules of a running guest.

A module keeps its symbols as Linux kernel/module/kallsyms.c does: an ELF symbol table, the texts of
its names, and one letter for each symbol, as `nm` prints it. The guest is not trusted: an address
that cannot be a module's is left out, and what is read has a bound.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from stepvisor.errors import SymbolError
from stepvisor.plain import plain_bytes
from stepvisor.symbols.module_layout import AreaLayout, ModuleLayout
from stepvisor.symbols.module_list import REACH, list_modules, module_name
from stepvisor.symbols.modules import Module
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.virtual import VirtualMemory

__all__ = ("read_modules",)

_ATTEMPTS: Final = 10
_MAX_BYTES: Final = 64 << 20
"""Of the symbols and names of all modules together."""
_LONGEST_NAME: Final = 512
_MAX_AREA: Final = 256 << 20

_ELF_SYMBOL: Final = np.dtype(
    [
        ("name", "<u4"),
        ("info", "u1"),
        ("other", "u1"),
        ("section", "<u2"),
        ("value", "<u8"),
        ("size", "<u8"),
    ]
)
# Marks of the assembler: where code begins, where data in it, and its own labels.
_MARK: Final = re.compile(rb"\$[adtx](?:\..*)?|\.L.*")

_Entry = tuple[int, int, str, str]
"""Address, size, name, and the letter as `nm` prints it."""


def read_modules(
    memory: VirtualMemory, layout: ModuleLayout, head: int, kernel: int
) -> tuple[Module, ...]:
    """Every module of the list at `head`, the one that was loaded last first.

    :param kernel: An address in the kernel, near which its modules are.
    :raise SymbolError: When the list cannot be followed.
    """
    attempts = (list_modules(memory, layout, head) for _ in range(_ATTEMPTS))
    addresses = next((found for found in attempts if found is not None), None)
    if addresses is None:
        raise SymbolError(
            "the guest's list of modules does not end: it changes all the time, or is damaged"
        )
    budget = _Budget(memory)
    readers = (_Reader(memory, layout, address, kernel, budget) for address in addresses)
    return tuple(module for reader in readers if (module := reader.module()) is not None)


class _Budget:
    """Reads as much as may still be used for what a guest says it has."""

    def __init__(self, memory: VirtualMemory) -> None:
        self._memory = memory
        self._left = _MAX_BYTES

    def read(self, address: int, size: int) -> bytes:
        """At most `size` bytes."""
        found = self._memory.read(address, min(size, self._left))
        self._left -= len(found)
        return found

    def allows(self, size: int) -> bool:
        """Whether so many bytes are left, which are used then."""
        self._left -= min(size, self._left)
        return self._left > 0


class _Reader:
    """Reads one struct module."""

    def __init__(
        self,
        memory: VirtualMemory,
        layout: ModuleLayout,
        address: int,
        kernel: int,
        budget: _Budget,
    ) -> None:
        self._memory = memory
        self._layout = layout
        self._kernel = kernel
        self._budget = budget
        self._address = address
        self._raw = memory.read(address, layout.size)

    def module(self) -> Module | None:
        """The module; None when nothing is there yet, or any more."""
        name = module_name(self._memory, self._layout, self._address)
        if not name or len(self._raw) < self._layout.size:
            return None
        areas, codes = self._areas()
        if not codes:
            return None
        entries = sorted(self._entries(areas))
        sizes = {address: size for address, size, _, _ in entries if size}
        return Module(name, codes[0], areas, _table(name, areas, codes[0], entries), sizes)

    def _areas(self) -> tuple[tuple[range, ...], tuple[range, ...]]:
        """All areas, and their code."""
        areas, codes = [], []
        for layout in self._layout.areas:
            area, code = self._area(layout)
            if area:
                areas.append(area)
            if code:
                codes.append(code)
        return tuple(areas), tuple(codes)

    def _area(self, layout: AreaLayout) -> tuple[range, range]:
        start, size = self._number(layout.base), self._number(layout.size, 4)
        if abs(start - self._kernel) > REACH or size > _MAX_AREA:
            return range(0), range(0)
        code = 0 if layout.code is None else min(self._number(layout.code, 4), size)
        return range(start, start + size), range(start, start + code)

    def _entries(self, areas: Sequence[range]) -> Iterator[_Entry]:
        """Each symbol that lies in one of the areas."""
        table = self._memory.read(self._number(self._layout.kallsyms), self._layout.table_size)
        if len(table) < self._layout.table_size:
            return
        layout = self._layout
        symtab, strtab, typetab = (
            int.from_bytes(table[offset : offset + 8], "little")
            for offset in (layout.symtab, layout.strtab, layout.typetab)
        )
        count = int.from_bytes(table[layout.num_symtab :][:4], "little")
        symbols = self._array(symtab, count)
        letters = self._memory.read(typetab, len(symbols)).decode("latin-1")
        symbols = symbols[: len(letters)]
        texts = self._texts(strtab, symbols["name"])
        for index in np.flatnonzero(_inside(symbols["value"], areas)).tolist():
            text = _text(texts, int(symbols["name"][index]))
            if text and self._budget.allows(len(text)):
                value, size = int(symbols["value"][index]), int(symbols["size"][index])
                yield value, size, text, letters[index]

    def _array(self, address: int, count: int) -> npt.NDArray[np.void]:
        raw = self._budget.read(address, count * _ELF_SYMBOL.itemsize)
        return np.frombuffer(raw, _ELF_SYMBOL, count=len(raw) // _ELF_SYMBOL.itemsize)

    def _texts(self, address: int, places: npt.NDArray[np.uint32]) -> bytes:
        last = int(np.max(places, initial=0))
        return self._budget.read(address, last + _LONGEST_NAME)

    def _number(self, offset: int, size: int = 8) -> int:
        return int.from_bytes(self._raw[offset : offset + size], "little")


def _inside(values: npt.NDArray[np.uint64], areas: Sequence[range]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(values), np.bool_)
    for area in areas:
        found |= values - np.uint64(area.start) < np.uint64(len(area))
    return found


def _table(
    name: str, areas: Sequence[range], code: range, entries: Sequence[_Entry]
) -> SymbolTable:
    return SymbolTable(
        [text for _, _, text, _ in entries],
        "".join(letter for _, _, _, letter in entries),
        np.array([address for address, _, _, _ in entries], np.uint64),
        min(area.start for area in areas),
        max(area.stop for area in areas),
        owner=f"module {name}",
        text=code,
    )


def _text(texts: bytes, start: int) -> str:
    """A symbol's name; empty when it is none that a person would use."""
    end = texts.find(b"\0", start, start + _LONGEST_NAME)
    text = texts[start : max(end, start)]
    return "" if _MARK.fullmatch(text) else plain_bytes(text)
