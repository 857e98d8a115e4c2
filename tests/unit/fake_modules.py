"""A kernel with modules made up for tests: page tables, a list, symbols.

Every page lies elsewhere in memory than its neighbour, as those of a real module do.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from fake_tables import FakeTables

from stepvisor.symbols.module_layout import AreaLayout, ModuleLayout
from stepvisor.symbols.module_list import find_head
from stepvisor.symbols.module_reader import read_modules
from stepvisor.symbols.modules import Module
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.virtual import VirtualMemory

PAGE = 0x1000
BASE = 0xFFFF_8000_8000_0000
TEXT_SIZE, DATA_SIZE = 4 * PAGE, 4 * PAGE
DATA = BASE + TEXT_SIZE
NEAR = BASE - 0x1000_0000
"""Where modules are."""

LAYOUT = ModuleLayout(
    state=0,
    list=8,
    name=24,
    kallsyms=0x100,
    areas=(AreaLayout(0x80, 0x88, 0x8C), AreaLayout(0xA0, 0xA8, None)),
    symtab=0,
    num_symtab=8,
    strtab=16,
    typetab=24,
)
STRUCT_SIZE = 0x400
SYMTAB, STRTAB, TYPETAB = 0x200, 0x1000, 0x1800
"""Where a fake module's tables are in its second area, which begins with struct module."""


@dataclass
class FakeKernel:
    """Its code and data, and modules with two areas each: code, then everything else."""

    named: bool = True
    """Whether it has a symbol for the head of the list."""
    head: int = DATA + 0x548
    tables: FakeTables = field(default_factory=lambda: FakeTables(page_bits=12, va_bits=48))

    def __post_init__(self) -> None:
        self._pages: dict[int, int] = {}
        self._entries: list[int] = []
        pages = [self.tables.new_table() for _ in range((TEXT_SIZE + DATA_SIZE) // PAGE)]
        self.physical_base = pages[0]
        for number, page in enumerate(pages):
            self._map(BASE + number * PAGE, page)
        self.write(self.head, struct.pack("<2Q", self.head, self.head))

    @property
    def memory(self) -> VirtualMemory:
        return VirtualMemory(self.tables.read, ttbr1=self.tables.ttbr, tcr=self.tables.tcr)

    @property
    def symbols(self) -> SymbolTable:
        entries = [("_stext", "T", BASE), ("vfs_read", "T", BASE + 0x100), ("_etext", "D", DATA)]
        if self.named:
            entries.append(("modules", "d", self.head))
        names, types, addresses = zip(*entries, strict=True)
        end = BASE + TEXT_SIZE + DATA_SIZE
        return SymbolTable(names, "".join(types), np.array(addresses, np.uint64), BASE, end)

    def add_module(
        self,
        name: str,
        address: int,
        symbols: Mapping[str, tuple[str, int, int]],
        *,
        code: Mapping[int, int] | None = None,
        code_size: int = 2 * PAGE,
    ) -> int:
        """Load a module whose areas are at `address` and 64 KiB above; where its struct module is.

        `symbols` have letter, offset from `address`, and size; `code` is words by offset.
        """
        data = address + 0x1_0000
        for start, size in ((address, code_size), (data, 4 * PAGE)):
            for page in range(start, start + size, PAGE):
                self.map(page)
        for offset, word in (code or {}).items():
            self.write(address + offset, struct.pack("<I", word))
        head = struct.pack("<I4x16x56s", 0, name.encode())
        self.write(data, head)
        self.write(data + 0x80, struct.pack("<Q2I", address, code_size, code_size))
        self.write(data + 0xA0, struct.pack("<QI", data, 4 * PAGE))
        self.write(data + 0x100, struct.pack("<Q", data + 0x180))
        self._write_symbols(address, data, symbols)
        self._entries.insert(0, data + LAYOUT.list)
        self.link(self._entries)
        return data

    def link(self, entries: Sequence[int]) -> None:
        """Make the list."""
        ring = [self.head, *entries]
        for here, after in zip(ring, [*ring[1:], ring[0]], strict=True):
            self.write(here, struct.pack("<Q", after))
            self.write(after + 8, struct.pack("<Q", here))

    def map(self, address: int) -> None:
        """Back a page with one that no other page is beside."""
        self.tables.new_table()
        self._map(address, self.tables.new_table())

    def physical(self, address: int) -> int:
        return self._pages[address // PAGE] + address % PAGE

    def write(self, address: int, data: bytes) -> None:
        for offset, value in enumerate(data):
            self.tables.memory[self.physical(address + offset) - self.tables.memory_base] = value

    def _write_symbols(
        self, address: int, data: int, symbols: Mapping[str, tuple[str, int, int]]
    ) -> None:
        texts, table, letters = bytearray(b"\0"), bytearray(24), bytearray(b"\0")
        for name, (letter, offset, size) in symbols.items():
            table += struct.pack("<IBBHQQ", len(texts), 2, 0, 1, address + offset, size)
            texts += name.encode() + b"\0"
            letters += letter.encode()
        count = len(symbols) + 1
        places = data + SYMTAB, count, data + STRTAB, data + TYPETAB
        self.write(data + 0x180, struct.pack("<QI4xQQ", *places))
        self.write(data + SYMTAB, bytes(table))
        self.write(data + STRTAB, bytes(texts))
        self.write(data + TYPETAB, bytes(letters))

    def _map(self, address: int, page: int) -> None:
        self._pages[address // PAGE] = page
        self.tables.map(address, page)


LDXR, STXR, NOP = 0xC85F7C41, 0xC8047C41, 0xD503201F

DUMMY = {
    "$x": ("t", 0, 0),
    "dummy_open": ("t", 0x10, 0x20),
    "dummy_xmit": ("t", 0x40, 0x40),
    "same": ("t", 0x100, 0x10),
    "__same": ("t", 0x100, 0x10),
    "shared": ("t", 0x200, 0x10),
    "twice": ("t", 0x300, 0),
    "last": ("t", 0x1100, 0x40),
    "value": ("d", 0x1_2000, 8),
    "elsewhere": ("a", -0x100_0000, 8),
    ".L123": ("t", 0x44, 0),
}
OTHER = {"shared": ("T", 0x10, 0x10), "other_only": ("W", 0x40, 0x10), "twice": ("t", 0, 0)}


def two_modules(*, named: bool) -> FakeKernel:
    """With modules dummy and other; dummy has an exclusive sequence that crosses pages."""
    kernel = FakeKernel(named=named)
    kernel.add_module("other", NEAR - 0x10_0000, OTHER)
    kernel.add_module("dummy", NEAR, DUMMY, code={0xFFC: LDXR, 0x1000: NOP, 0x1004: STXR})
    return kernel


def head_of(kernel: FakeKernel) -> int | None:
    read = kernel.tables.read
    return find_head(read, kernel.physical_base, kernel.symbols, kernel.memory, LAYOUT)


def read_all(kernel: FakeKernel) -> tuple[Module, ...]:
    head = head_of(kernel)
    return () if head is None else read_modules(kernel.memory, LAYOUT, head, BASE)
