"""Page-table walks and the search for the kernel, on tables of every kind and on hostile ones."""

import random
import struct

import pytest
from fake_tables import PXN, PXN_TABLE, FakeTables

from stepvisor.symbols.kaslr import Mapping, find_kernel_base, translate, walk

IMAGE = 0x4800_0000
TEXT = 0x1_0000

KINDS = {
    "4K 48": {"page_bits": 12, "va_bits": 48},
    "4K 39": {"page_bits": 12, "va_bits": 39},
    "4K 52": {"page_bits": 12, "va_bits": 52, "ds": True},
    "4K 48 LPA2": {"page_bits": 12, "va_bits": 48, "ds": True},
    "16K 47": {"page_bits": 14, "va_bits": 47},
    "16K 48": {"page_bits": 14, "va_bits": 48},
    "16K 36": {"page_bits": 14, "va_bits": 36},
    "16K 52": {"page_bits": 14, "va_bits": 52, "ds": True},
    "64K 48": {"page_bits": 16, "va_bits": 48},
    "64K 42": {"page_bits": 16, "va_bits": 42},
    "64K 52": {"page_bits": 16, "va_bits": 52, "wide": True},
}


@pytest.fixture(params=KINDS, ids=str)
def tables(request: pytest.FixtureRequest) -> FakeTables:
    return FakeTables(**KINDS[request.param])


def kernel_at(tables: FakeTables) -> int:
    """A virtual base in the upper part, aligned to 2 MiB."""
    return tables.base + (3 << (tables.va_bits - 2)) + 0x1060_0000


def map_kernel(tables: FakeTables) -> int:
    """Map a linear map that nobody may execute, and a kernel above it."""
    page = 1 << tables.page_bits
    base = kernel_at(tables)
    for offset in range(0, 0x8_0000, page):
        tables.map(tables.base + 0x800_0000 + offset, IMAGE + offset, attributes=PXN)
    for offset in range(TEXT, 0x8_0000, page):
        tables.map(base + offset, IMAGE + offset)
    return base


def find(tables: FakeTables, **arguments: int) -> int | None:
    return find_kernel_base(
        tables.read,
        ttbr1=tables.ttbr,
        tcr=tables.tcr,
        physical_base=IMAGE,
        text_offset=TEXT,
        **arguments,
    )


def test_pages(tables: FakeTables) -> None:
    va = kernel_at(tables)
    tables.map(va, 0x1234_5678_0000)

    assert translate(tables.read, tables.ttbr, tables.tcr, va + 0x123) == 0x1234_5678_0123
    assert walk(tables.read, tables.ttbr, tables.tcr, va) == Mapping(
        va, 0x1234_5678_0000, 1 << tables.page_bits, executable=True
    )
    assert translate(tables.read, tables.ttbr, tables.tcr, va - 1) is None


def test_blocks(tables: FakeTables) -> None:
    size = 1 << (2 * tables.page_bits - 3)
    va = kernel_at(tables) & -size
    pa = 5 * size
    tables.map(va, pa, level=2, attributes=PXN)

    assert walk(tables.read, tables.ttbr, tables.tcr, va + size - 8) == Mapping(
        va, pa, size, executable=False
    )


@pytest.mark.parametrize("kind", ["4K 52", "16K 52", "64K 52"])
def test_addresses_of_52_bits(kind: str) -> None:
    tables = FakeTables(**KINDS[kind], memory_base=0xA_4000_0000_0000)
    va = kernel_at(tables)
    tables.map(va, 0xF_8765_4321_0000)
    tables.map(tables.base, 0xB_0000_0000_0000)

    assert translate(tables.read, tables.ttbr, tables.tcr, va + 5) == 0xF_8765_4321_0005
    assert translate(tables.read, tables.ttbr, tables.tcr, tables.base) == 0xB_0000_0000_0000


def test_lower_half() -> None:
    """TTBR0's fields of TCR_EL1 have other encodings and other places."""
    upper = FakeTables(page_bits=12, va_bits=48)
    upper.map(upper.base + 0x1234_5000, 0x4242_4000)
    tcr = 16 | 0b00 << 14 | 0b01 << 30 | 30 << 16

    assert translate(upper.read, upper.root, tcr, 0x1234_5678) == 0x4242_4678


def test_address_outside_both_halves() -> None:
    tables = FakeTables(page_bits=12, va_bits=39)
    tables.map(tables.base, 0x4000_0000)

    assert translate(tables.read, tables.ttbr, tables.tcr, tables.base) == 0x4000_0000
    assert translate(tables.read, tables.ttbr, tables.tcr, tables.base - 8) is None
    assert translate(tables.read, tables.ttbr, tables.tcr, 1 << 55) is None


def test_kernel_is_found(tables: FakeTables) -> None:
    assert find(tables) is None

    base = map_kernel(tables)

    assert find(tables) == base


def test_kernel_in_blocks(tables: FakeTables) -> None:
    """A block starts below _stext; the linear map has the same memory, not executable."""
    size = 1 << (2 * tables.page_bits - 3)
    image = 8 * size
    base = kernel_at(tables) & -size
    tables.map(base, image, level=2)
    tables.map(tables.base, image, level=2, attributes=PXN)

    found = find_kernel_base(
        tables.read, ttbr1=tables.ttbr, tcr=tables.tcr, physical_base=image, text_offset=TEXT
    )

    assert found == base


@pytest.mark.parametrize("level", [2, 3])
def test_data_mappings_above_the_kernel(level: int) -> None:
    tables = FakeTables(page_bits=12, va_bits=48)
    base = map_kernel(tables)
    size = 1 << (12 + 9 * (3 - level))
    start = (IMAGE + TEXT) & -size
    tables.map(base + (8 << 30), start, level=level, attributes=PXN)

    assert find(tables) == base


def test_table_that_forbids_execution() -> None:
    tables = FakeTables(page_bits=12, va_bits=48)
    base = kernel_at(tables)
    tables.map(base + TEXT, IMAGE + TEXT, table_attributes=PXN_TABLE)

    assert find(tables) is None
    assert walk(tables.read, tables.ttbr, tables.tcr, base + TEXT) == Mapping(
        base + TEXT, IMAGE + TEXT, 4096, executable=False
    )
    hierarchical_off = tables.tcr | 1 << 42
    found = find_kernel_base(
        tables.read,
        ttbr1=tables.ttbr,
        tcr=hierarchical_off,
        physical_base=IMAGE,
        text_offset=TEXT,
    )
    assert found == base


def test_hint_saves_the_search() -> None:
    tables = FakeTables(page_bits=12, va_bits=48)
    base = map_kernel(tables)
    tables.reads = 0

    assert find(tables, vbar=base + 0x1_0800, vectors_offset=0x1_0800) == base
    assert tables.reads == 4


@pytest.mark.parametrize("lie", [0, 1, 0x1000, 0xFFFF_FFFF_FFFF_F800, 1 << 55, 0x1F800])
def test_wrong_hint_is_not_believed(lie: int) -> None:
    tables = FakeTables(page_bits=12, va_bits=48)
    base = map_kernel(tables)

    assert find(tables, vbar=lie, vectors_offset=0x800) == base
    assert find(tables, vbar=base + 0x800 + lie % 0x1_0000, vectors_offset=0) == base


def test_trampoline_tables_do_not_have_the_kernel() -> None:
    """Page-table isolation: at EL0 only the trampoline is mapped."""
    tables = FakeTables(page_bits=12, va_bits=48)
    tables.map(kernel_at(tables), IMAGE + 0x70_0000)

    assert find(tables) is None


@pytest.mark.parametrize("tcr", [0, (1 << 64) - 1, 0b10 << 30 | 63 << 16, 0b10 << 30])
def test_registers_before_the_mmu_is_on(tcr: int) -> None:
    tables = FakeTables(page_bits=12, va_bits=48)

    assert (
        find_kernel_base(tables.read, ttbr1=0, tcr=tcr, physical_base=IMAGE, text_offset=TEXT)
        is None
    )


@pytest.mark.parametrize("kind", ["4K 48", "4K 52", "64K 52"])
def test_tables_that_contain_themselves_end(kind: str) -> None:
    tables = FakeTables(**KINDS[kind])
    for index in range((1 << tables.page_bits) // 8):
        tables.poke(tables.root, index, tables.field_of(tables.root) | 0b11 | 1 << 60)

    assert find(tables) is None
    assert tables.reads < 20_000


def test_memory_that_is_not_there() -> None:
    tables = FakeTables(page_bits=12, va_bits=48)
    map_kernel(tables)
    short = bytes(tables.memory[:100])

    def read(address: int, size: int) -> bytes:
        start = address - tables.memory_base
        return short[start : start + size]

    assert (
        find_kernel_base(
            read, ttbr1=tables.ttbr, tcr=tables.tcr, physical_base=IMAGE, text_offset=TEXT
        )
        is None
    )
    assert translate(read, tables.ttbr, tables.tcr, kernel_at(tables)) is None


def test_noise_is_survived() -> None:
    rng = random.Random(7)
    for _ in range(150):
        memory = rng.randbytes(1 << 14)

        def read(address: int, size: int, memory: bytes = memory) -> bytes:
            start = address % (1 << 14)
            return memory[start : start + rng.choice((size, size, size, 3))]

        ttbr, tcr, va, vbar = struct.unpack("<4Q", rng.randbytes(32))
        found = translate(read, ttbr, tcr, va)
        assert found is None or found >= 0
        base = find_kernel_base(
            read,
            ttbr1=ttbr,
            tcr=tcr,
            physical_base=IMAGE,
            text_offset=TEXT,
            vbar=vbar,
            vectors_offset=0x800,
        )
        assert base is None or 0 <= base < 1 << 64
