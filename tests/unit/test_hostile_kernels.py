"""Kernels that mean harm end in an error, or are read, at a bounded cost."""

import struct
import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import hostile_kernels
import numpy as np
import pytest

from stepvisor.errors import SymbolError
from stepvisor.guest.image import KernelImage
from stepvisor.symbols.btf import Btf
from stepvisor.symbols.name_list import NameList
from stepvisor.symbols.table import SymbolTable

PATIENCE = 20
"""Seconds of processor time: what is quadratic takes far more."""


def test_many_symbols_of_one_name() -> None:
    image = hostile_kernels.one_name(200_000)
    start = time.process_time()

    table = SymbolTable.from_image(image)

    assert len(table.all("x")) == 200_000
    with pytest.raises(SymbolError, match="no symbol 'y'"):
        table.lookup("y")
    assert time.process_time() - start < PATIENCE


def test_a_symbol_takes_few_bytes() -> None:
    image = hostile_kernels.one_name(60_000, b"Tsome_function_name")
    tracemalloc.start()
    try:
        table = SymbolTable.from_image(image)
        moved = table.rebased(0xFFFF_9000_0000_0000)
        assert "some_function_name" in moved
        assert moved.at(moved.link_base + 0x104) is not None
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    text = len("some_function_name")

    # Letter, newline, type, start, two addresses, two ends, hash and place.
    assert held / len(table) < text + 60


def test_decoys_are_given_up() -> None:
    image = hostile_kernels.decoys(64, 64)
    start = time.process_time()

    with pytest.raises(SymbolError, match="takes more work than any real kernel's: refused"):
        SymbolTable.from_image(image)

    assert time.process_time() - start < PATIENCE


@pytest.mark.parametrize("base", [0xFFFF_FFFF_FFE0_0000, 0xFFFF_FFFF_FFFF_FFFF, 1 << 63])
def test_kernel_at_the_end_of_the_addresses(base: int) -> None:
    image = hostile_kernels.one_name(1000, link_base=base)
    try:
        table = SymbolTable.from_image(image)
    except SymbolError:
        return
    assert table.end <= 1 << 64
    assert table.at(table.link_base + 0x10_0000) is not None
    assert len(table.all("x")) == 1000


def test_kernel_of_impossible_size() -> None:
    image = hostile_kernels.one_name(1000)
    huge = KernelImage(image.data, 0, (1 << 64) - 1, image.flags, Path("k"), image.banner)

    with pytest.raises(SymbolError):
        SymbolTable.from_image(huge)


def test_a_running_kernel_at_the_end_of_the_addresses() -> None:
    table = SymbolTable.from_image(hostile_kernels.one_name(1000))
    moved = table.rebased((1 << 64) - 0x1000)

    assert moved.all("x")[0].size >= 0
    assert moved.at((1 << 64) - 0x800) is not None
    assert moved.at(1 << 64) is None


def test_symbol_names_are_printable() -> None:
    text = "Tevil\u009b31mRED\u202etxt\x7f".encode()
    table = SymbolTable.from_image(hostile_kernels.one_name(1000, text))
    (name,) = {symbol.name for symbol in table}

    assert name.isascii()
    assert name.isprintable()
    assert name == r"evil\xc2\x9b31mRED\xe2\x80\xaetxt\x7f"
    assert table.all(name)


def test_many_names_of_one_address_cost_no_more_than_a_few() -> None:
    names = [f"f{n}" for n in range(100_000)]
    addresses = np.full(len(names), 0xFFFF_8000_8000_0000, np.uint64)
    table = SymbolTable(names, "t" * len(names), addresses, 1 << 63, (1 << 64) - 1)
    start = time.process_time()

    for _ in range(1000):
        assert table.at(0xFFFF_8000_8000_0000 + 8) is not None

    assert time.process_time() - start < PATIENCE


def test_name_list_is_a_sequence() -> None:
    names = ["one", "two", "", "one", "ünder"] * 5000
    found = NameList.from_texts(names)

    assert list(found) == names
    assert found == tuple(names)
    assert [found[0], found[-1], found[4]] == ["one", "ünder", "ünder"]
    assert found[1:3] == ["two", ""]
    assert found.find("one")[:3] == [0, 3, 5]
    assert len(found.find("ünder")) == 5000
    assert found.find("three") == []
    with pytest.raises(IndexError):
        found[len(names)]


def btf(types: bytes, texts: bytes) -> bytes:
    sizes = (24, 0, len(types), len(types), len(texts))
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, *sizes) + types + texts


def structure(name: int, *members: tuple[int, int, int]) -> bytes:
    head = struct.pack("<III", name, 4 << 24 | len(members), 8)
    return head + b"".join(struct.pack("<III", *member) for member in members)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("branch", [1, 3, 1000])
def test_structure_inside_itself(branch: int) -> None:
    data = btf(structure(1, *[(0, 1, 0)] * branch), b"\0task_struct\0")

    with pytest.raises(SymbolError, match="no member 'comm'"):
        Btf(data).offset("task_struct", "comm")


def test_deep_structures() -> None:
    """A chain of anonymous members, longer than Python's stack is deep."""
    depth = 5000
    types = b"".join(structure(int(n == 1), (0, n + 1, 8)) for n in range(1, depth))
    data = btf(types + structure(0, (13, 0, 16)), b"\0task_struct\0comm\0")

    assert Btf(data).offset("task_struct", "comm") == depth - 1 + 2


def test_types_of_endless_names() -> None:
    """Names without an end, once for each type: quadratic where each is looked through."""
    texts = b"\0" + b"x" * (4 << 20)
    data = btf(structure(1, (1, 0, 0)) * 40_000, texts)
    start = time.process_time()

    with pytest.raises(SymbolError, match="no struct"):
        Btf(data).offset("task_struct", "comm")

    assert time.process_time() - start < PATIENCE


def test_too_many_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepvisor.symbols.btf._MAX_TYPES", 10)
    starts = list(Btf(btf(structure(0) * 9, b"\0"))._starts[1:])
    assert [later - earlier for earlier, later in pairwise(starts)] == [12] * 8

    with pytest.raises(SymbolError, match="more types than any kernel"):
        Btf(btf(structure(0) * 11, b"\0"))
