"""Where a kernel keeps what belongs to a task, found in kernels made up here."""

import random
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest

from stepvisor.errors import SymbolError
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.task import comm_offset, user_tables_offset

LINK, SIZE = 0xFFFF_8000_8000_0000, 0x8_0000
SLIDE = 0x1234_0000
PHYSICAL = 0x4840_0000
TASK, COMM, EMPTY = 0x4_1240, 0x688, 0x7_0000
PARENTS = (0x500, 0x508, 0x530)


@dataclass
class Kernel:
    """Memory of a running kernel, without BTF."""

    first_name: bytes = b"swapper/0"
    parents: tuple[int, ...] = PARENTS
    symbols: dict[str, int] = field(default_factory=dict)
    words: dict[int, int] = field(default_factory=dict)
    """Further ones, by offset from the kernel's first byte."""
    texts: dict[int, bytes] = field(default_factory=dict)

    def memory(self) -> bytes:
        data = bytearray(random.Random(7).randbytes(SIZE))
        data[EMPTY : EMPTY + 4096] = bytes(4096)
        for offset, text in {TASK + COMM: self.first_name.ljust(16, b"\0"), **self.texts}.items():
            data[offset : offset + len(text)] = text
        pointers = {TASK + offset: LINK + SLIDE + TASK for offset in self.parents}
        for offset, word in {**pointers, **self.words}.items():
            struct.pack_into("<Q", data, offset, word)
        return bytes(data)

    @property
    def table(self) -> SymbolTable:
        names = ["_text", *self.symbols, "_end"]
        addresses = [LINK, *(LINK + at for at in self.symbols.values()), LINK + SIZE - 8]
        types = "T" + "D" * len(self.symbols) + "B"
        return SymbolTable(names, types, np.array(addresses, np.uint64), LINK, LINK + SIZE)

    def read(self, address: int, size: int) -> bytes:
        return self.memory()[address - LINK :][:size]

    def comm(self, base: int | None = LINK + SLIDE) -> int:
        return comm_offset(self.table, self.read, base)

    def tables(self) -> int:
        return user_tables_offset(self.table, self.read, LINK + SLIDE, PHYSICAL)


@pytest.mark.parametrize("name", [b"swapper", b"swapper/0"])
def test_the_first_task_is_its_own_parent(name: bytes) -> None:
    assert Kernel(first_name=name).comm() == COMM


def test_other_swappers_are_not_it() -> None:
    """A message, another processor's idle task, a name without a structure around it."""
    texts = {0x100: b"swapper: no room\0", 0x2000: b"swapper/1\0".ljust(16, b"\0")}
    texts[0x3000] = b"swapper/0".ljust(16, b"\0")

    assert Kernel(texts=texts).comm() == COMM


def test_a_symbol_says_where_it_is() -> None:
    symbols = {"init_task": TASK, "init_stack": TASK + 0x1000}

    assert Kernel(parents=(), symbols=symbols).comm() == COMM
    assert Kernel(parents=(), symbols=symbols).comm(base=None) == COMM


@pytest.mark.parametrize("parents", [(), PARENTS[:2]])
def test_too_few_pointers(parents: tuple[int, ...]) -> None:
    with pytest.raises(SymbolError, match="where a task's name is"):
        Kernel(parents=parents).comm()


def test_two_of_them() -> None:
    second = TASK + 0x8000
    words = {second + offset: LINK + SLIDE + second for offset in PARENTS}
    texts = {second + COMM: b"swapper/0".ljust(16, b"\0")}

    with pytest.raises(SymbolError, match="where a task's name is"):
        Kernel(words=words, texts=texts).comm()


def test_before_it_runs_pointers_mean_nothing() -> None:
    with pytest.raises(SymbolError, match="where a task's name is"):
        Kernel().comm(base=None)


@pytest.mark.parametrize("offset", [8, 16])
def test_an_empty_table_stands_for_no_user_memory(offset: int) -> None:
    assert Kernel(words={TASK + offset: PHYSICAL + EMPTY}).tables() == offset


@pytest.mark.parametrize(
    "word",
    [0, 1, 0x1_0000_0000, PHYSICAL, PHYSICAL + 0x3000, PHYSICAL + EMPTY + 8, PHYSICAL + SIZE],
    ids=["none", "a count", "a flag", "the image", "used", "inside", "behind"],
)
def test_what_is_no_empty_table(word: int) -> None:
    assert Kernel(words={TASK + 8: word}).tables() == 0


def test_no_first_task_no_tables() -> None:
    assert Kernel(parents=(), words={TASK + 8: PHYSICAL + EMPTY}).tables() == 0
