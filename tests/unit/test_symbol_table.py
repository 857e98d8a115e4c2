"""Lookups by name, pattern and address."""

import time

import fake_kernel
import numpy as np
import pytest
from fake_kernel import FakeKallsyms, fake_image, make_symbols

from stepvisor.errors import SymbolError
from stepvisor.symbols.table import Symbol, SymbolTable

BASE = 0xFFFF_8000_8000_0000


def make_table(*entries: tuple[str, str, int], end: int = 0x40_0000) -> SymbolTable:
    names, types, offsets = zip(*entries, strict=True)
    addresses = np.array([BASE + offset for offset in offsets], np.uint64)
    return SymbolTable(names, "".join(types), addresses, BASE, BASE + end)


@pytest.fixture(scope="module")
def table() -> SymbolTable:
    return make_table(
        ("_text", "T", 0),
        ("_stext", "T", 0x1_0000),
        ("__irqentry_text_start", "T", 0x1_0000),
        ("gic_handle_irq", "t", 0x1_0000),
        ("vfs_read", "T", 0x1_0100),
        ("__pi_memcpy", "T", 0x1_0400),
        ("memcpy", "W", 0x1_0400),
        ("vfs_readv", "t", 0x1_0500),
        ("show", "t", 0x1_0600),
        ("do_exec.isra.0", "t", 0x1_0680),
        ("show", "t", 0x1_0700),
        ("state", "t", 0x1_0800),
        ("__sched_text_end", "T", 0x1_0900),
        ("_etext", "D", 0x2_0000),
        ("state", "d", 0x3_0000),
        ("cleanup", "t", 0x3_8000),
        ("_end", "B", 0x40_0000),
    )


def test_lookup(table: SymbolTable) -> None:
    assert table.lookup("vfs_read") == Symbol("vfs_read", BASE + 0x1_0100, 0x300, "T")
    assert table.lookup("vfs_read").is_text
    assert not table.lookup("_etext").is_text
    assert "vfs_read" in table
    assert "vfs" not in table
    assert len(table) == 17
    assert [symbol.name for symbol in table][:2] == ["_text", "_stext"]


def test_size_of_symbols_that_share_an_address(table: SymbolTable) -> None:
    assert table.lookup("_stext").size == table.lookup("gic_handle_irq").size == 0x100
    assert table.lookup("_end").size == 0


def test_code_is_meant_where_data_has_the_same_name(table: SymbolTable) -> None:
    assert table.lookup("state").address == BASE + 0x1_0800
    assert [symbol.type for symbol in table.all("state")] == ["t", "d"]
    assert table.lookup("state@2").type == "d"


def test_ambiguous_name(table: SymbolTable) -> None:
    with pytest.raises(SymbolError) as raised:
        table.lookup("show")

    assert raised.value.near == ("show@1", "show@2")
    assert "show@1 at 0xffff800080010600, show@2 at 0xffff800080010700" in str(raised.value)
    assert table.get("show") is None
    assert table.lookup("show@2").address == BASE + 0x1_0700


@pytest.mark.parametrize("name", ["show@0", "show@3", "vfs_read@2"])
def test_number_that_is_not_there(table: SymbolTable, name: str) -> None:
    with pytest.raises(SymbolError, match="of that name"):
        table.lookup(name)


def test_same_address_is_not_ambiguous() -> None:
    table = make_table(("_stext", "T", 0x1000), ("_stext", "T", 0x1000))

    assert table.lookup("_stext").address == BASE + 0x1000


def test_unknown_name_has_near_ones(table: SymbolTable) -> None:
    with pytest.raises(
        SymbolError, match="no symbol 'vfs_reed': did you mean vfs_read, "
    ) as raised:
        table.lookup("vfs_reed")

    assert raised.value.near[:2] == ("vfs_read", "vfs_readv")


def test_numbers_count_data_too() -> None:
    """The message gives the names that are understood."""
    table = make_table(
        ("_stext", "T", 0),
        ("show", "t", 0x100),
        ("show", "d", 0x200),
        ("show", "t", 0x300),
        ("_etext", "D", 0x400),
    )
    with pytest.raises(SymbolError) as raised:
        table.lookup("show")

    assert raised.value.near == ("show@1", "show@3")
    assert table.lookup("show@3").address == BASE + 0x300


@pytest.mark.parametrize("name", ["", "q", "🐌", "0" * 5000, "nothing_like_it_zzz"])
def test_unknown_names_without_near_ones(table: SymbolTable, name: str) -> None:
    with pytest.raises(SymbolError, match="has no symbol"):
        table.lookup(name)


def test_resolve(table: SymbolTable) -> None:
    vfs_read = table.lookup("vfs_read")

    assert table.resolve("vfs_read") == (vfs_read, 0)
    assert table.resolve("vfs_read+0x10") == (vfs_read, 16)
    assert table.resolve("vfs_read+16") == (vfs_read, 16)
    assert table.resolve("vfs_read+00") == (vfs_read, 0)
    assert table.resolve("vfs_read+010") == (vfs_read, 10)
    assert table.resolve("show@2+4") == (table.lookup("show@2"), 4)
    assert table.resolve("0xffff800080010108") == (vfs_read, 8)
    assert table.resolve("0xffff800080010104+4") == (vfs_read, 8)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("vfs_read+0x300", "has 0x300 bytes only"),
        ("vfs_read+", "write NAME"),
        ("vfs_read-4", "has no symbol"),
        ("vfs read", "write NAME"),
        ("", "write NAME"),
        ("0x10", "is not in the kernel"),
        ("0xffffffffffffffff+0xffffffffffffffff", "is not in the kernel"),
        ("_end+1", "bytes only"),
    ],
)
def test_resolve_refuses(table: SymbolTable, expression: str, words: str) -> None:
    with pytest.raises(SymbolError, match=words):
        table.resolve(expression)


def test_match(table: SymbolTable) -> None:
    assert [symbol.name for symbol in table.match("vfs_*")] == ["vfs_read", "vfs_readv"]
    assert [symbol.name for symbol in table.match("*mem?py")] == ["__pi_memcpy", "memcpy"]
    assert table.match("[") == ()
    assert len(table.match("*")) == len(table)


@pytest.mark.parametrize(
    ("offset", "name", "distance"),
    [
        (0x1_0000, "gic_handle_irq", 0),
        (0x1_0100, "vfs_read", 0),
        (0x1_03FF, "vfs_read", 0x2FF),
        (0x1_0404, "memcpy", 4),
        (0x3F_FFFF, "cleanup", 0x3C_7FFF),
    ],
)
def test_at(table: SymbolTable, offset: int, name: str, distance: int) -> None:
    found = table.at(BASE + offset)

    assert found is not None
    assert (found[0].name, found[1]) == (name, distance)


def test_at_outside(table: SymbolTable) -> None:
    for address in (0, BASE - 1, BASE + 0x40_0000, (1 << 64) - 1):
        assert table.at(address) is None


def test_text(table: SymbolTable) -> None:
    assert table.text == range(BASE + 0x1_0000, BASE + 0x2_0000)
    bare = make_table(("a", "t", 0x1000), ("b", "T", 0x1100), ("c", "D", 0x1180))
    assert bare.text == range(BASE + 0x1000, BASE + 0x1180)
    assert not make_table(("c", "D", 0x1180)).text


def test_rebased(table: SymbolTable) -> None:
    moved = table.rebased(0xFFFF_9000_1234_0000)

    assert moved.link_base == 0xFFFF_9000_1234_0000
    assert moved.lookup("vfs_read") == Symbol("vfs_read", 0xFFFF_9000_1235_0100, 0x300, "T")
    assert moved.text == range(0xFFFF_9000_1235_0000, 0xFFFF_9000_1236_0000)
    assert table.lookup("vfs_read").address == BASE + 0x1_0100
    assert table.rebased(0xFFFF_7000_0000_0000).lookup("_text").address == 0xFFFF_7000_0000_0000


def test_from_image() -> None:
    made = FakeKallsyms(symbols=make_symbols(3000))
    table = SymbolTable.from_image(fake_image(made))

    assert table.link_base == fake_kernel.LINK_BASE
    assert table.end == fake_kernel.LINK_BASE + 0x40_0000
    for symbol in made.symbols[::97]:
        addresses = [found.address for found in table.all(symbol.name)]
        assert fake_kernel.LINK_BASE + symbol.offset in addresses


def test_near_names_of_a_whole_kernel_come_quickly() -> None:
    names = [f"some_function_of_subsystem_{i % 977}_{i}" for i in range(120_000)]
    addresses = np.arange(len(names), dtype=np.uint64) * np.uint64(16) + np.uint64(BASE)
    table = SymbolTable(names, "t" * len(names), addresses, BASE, BASE + (4 << 20))
    start = time.process_time()

    with pytest.raises(SymbolError) as raised:
        table.lookup("some_function_of_subsystem_12_1100")

    assert raised.value.near
    assert time.process_time() - start < 5
