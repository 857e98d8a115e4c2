"""The list of modules and their symbols, of a kernel that is honest and of one that is not."""

import struct
import time

import pytest
from fake_btf import make_btf
from fake_modules import (
    DATA,
    DUMMY,
    LAYOUT,
    NEAR,
    OTHER,
    PAGE,
    STRTAB,
    FakeKernel,
    head_of,
    read_all,
    two_modules,
)

from stepvisor.errors import SymbolError
from stepvisor.symbols.btf import Btf, find_btf
from stepvisor.symbols.module_layout import AreaLayout, read_layout
from stepvisor.symbols.module_list import list_modules
from stepvisor.symbols.modules import Modules


@pytest.fixture(params=[True, False], ids=["symbol", "search"])
def kernel(request: pytest.FixtureRequest) -> FakeKernel:
    return two_modules(named=request.param)


def test_the_list_and_the_symbols(kernel: FakeKernel) -> None:
    dummy, other = read_all(kernel)

    assert (dummy.name, dummy.code) == ("dummy", range(NEAR, NEAR + 2 * PAGE))
    assert dummy.areas[1] == range(NEAR + 0x1_0000, NEAR + 0x1_0000 + 4 * PAGE)
    assert {(s.name, s.type, s.address - NEAR) for s in dummy.symbols} == {
        (name, letter, offset)
        for name, (letter, offset, _) in DUMMY.items()
        if name not in {"$x", ".L123", "elsewhere"}
    }
    assert (other.name, len(other.symbols)) == ("other", len(OTHER))


def test_what_only_looks_like_the_head(kernel: FakeKernel) -> None:
    """Pointers to where modules are, in front of it."""
    somewhere = NEAR + 0x1_0000
    for number, pair in enumerate(
        [(somewhere, somewhere), (somewhere + 8, somewhere + 8), (NEAR, NEAR + 8), (NEAR + 4, NEAR)]
    ):
        kernel.write(DATA + number * 32, struct.pack("<2Q", *pair))

    assert head_of(kernel) == kernel.head


def test_no_module(kernel: FakeKernel) -> None:
    kernel.link([])

    assert read_all(kernel) == ()


def struct_of(number: int) -> int:
    """Where the struct module of dummy (0) or other (1) is."""
    return NEAR - number * 0x10_0000 + 0x1_0000


@pytest.mark.parametrize(
    ("place", "data"),
    [
        (struct_of(1) + 16, struct.pack("<Q", NEAR)),
        (struct_of(0) + 8, struct.pack("<Q", struct_of(0) + 8)),
        (struct_of(1) + 8, struct.pack("<Q", struct_of(0) + 8)),
        (struct_of(0) + 8, struct.pack("<Q", 0xDEAD_0000_0000_0100)),
        (struct_of(0) + 8, struct.pack("<Q", 0x1000)),
        (struct_of(0) + 8, struct.pack("<Q", struct_of(1) + 9)),
    ],
    ids=["back", "itself", "cycle", "poison", "user", "odd"],
)
def test_a_list_that_does_not_close(place: int, data: bytes) -> None:
    kernel = FakeKernel()
    kernel.add_module("other", NEAR - 0x10_0000, OTHER)
    kernel.add_module("dummy", NEAR, DUMMY)
    kernel.write(place, data)
    reads = kernel.tables.reads

    with pytest.raises(SymbolError, match="does not end"):
        read_all(kernel)
    assert kernel.tables.reads - reads < 10_000
    kernel.named = False
    assert read_all(kernel) == ()


def test_a_list_that_is_too_long(kernel: FakeKernel) -> None:
    nodes = [struct_of(n) + 8 + 16 * i for n in (0, 1) for i in range(600)]
    kernel.link(nodes)

    assert list_modules(kernel.memory, LAYOUT, kernel.head) is None
    kernel.link(nodes[:1000])
    assert len(list_modules(kernel.memory, LAYOUT, kernel.head) or ()) == 1000


@pytest.mark.parametrize(
    ("place", "data", "left"),
    [
        (0, struct.pack("<I", 7), 0),
        (24, b"a b\0", 0),
        (24, b"\0", 0),
        (24, b"x" * 56, 0),
        (0x80, struct.pack("<Q", 0x1000), 0),
        (0x88, b"\xff" * 4, 0),
        (0x8C, bytes(4), 0),
        (0x100, struct.pack("<Q", 0x1000), 1),
        (0x188, b"\xff" * 4, 1),
        (0x180, struct.pack("<Q", 0xFFFF_FFFF_FFFF_FFF0), 1),
        (0x190, struct.pack("<Q", 0xFFFF_FFFF_FFFF_FFF0), 1),
        (0x200 + 24, b"\xff" * 4, 1),
        (STRTAB + 1, b"\xff" * 64, 1),
    ],
)
def test_a_module_that_lies(place: int, data: bytes, left: int) -> None:
    """It has no symbols then, or is left out; the other one is as it was."""
    kernel = FakeKernel()
    kernel.add_module("other", NEAR - 0x10_0000, OTHER)
    kernel.add_module("dummy", NEAR, DUMMY)
    kernel.write(struct_of(0) + place, data)
    start = time.process_time()

    found = read_all(kernel)

    assert len(found) == 1 + left
    assert [symbol.name for symbol in found[-1].symbols] == ["twice", "shared", "other_only"]
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("offset", "name", "distance"),
    [
        (0x40, "dummy:dummy_xmit", 0),
        (0x7C, "dummy:dummy_xmit", 0x3C),
        (0x80, "dummy", 0x80),
        (0, "dummy", 0),
        (0x104, "dummy:same", 4),
        (0x380, "dummy:twice", 0x80),
        (0x1_0008, "dummy", 8),
        (0x1_2004, "dummy:value", 4),
    ],
)
def test_names_of_addresses(kernel: FakeKernel, offset: int, name: str, distance: int) -> None:
    """The module itself between its symbols; one without a size goes on to the next."""
    found = Modules(lambda: read_all(kernel)).at(NEAR + offset)

    assert found is not None
    assert (found[0].name, found[1]) == (name, distance)


MEMBERS = {"state": 0, "list": 8, "name": 24, "kallsyms": 600}
TABLES = {"symtab": 0, "num_symtab": 8, "strtab": 16, "typetab": 24}


def test_layout_since_linux_6_4() -> None:
    """An area for each kind of contents; the code is in two of them."""
    btf = make_btf(
        {
            "module": (1280, MEMBERS | {"mem": 320}),
            "module_memory": (72, {"base": 0, "size": 8}),
            "mod_kallsyms": (32, TABLES),
        },
        {
            "mod_mem_type": {
                "MOD_TEXT": 0,
                "MOD_DATA": 1,
                "MOD_INIT_TEXT": 2,
                "MOD_MEM_NUM_TYPES": 3,
            }
        },
    )

    assert read_layout(Btf(btf)).areas == (
        AreaLayout(320, 328, 328),
        AreaLayout(392, 400, None),
        AreaLayout(464, 472, 472),
    )


def test_layout_before() -> None:
    btf = make_btf(
        {
            "module": (896, MEMBERS | {"core_layout": 384, "init_layout": 464}),
            "module_layout": (80, {"base": 0, "size": 8, "text_size": 12}),
            "mod_kallsyms": (32, TABLES),
        }
    )
    layout = read_layout(Btf(btf))

    assert layout.areas == (AreaLayout(384, 392, 396), AreaLayout(464, 472, 476))
    assert (layout.list, layout.name, layout.kallsyms, layout.typetab) == (8, 24, 600, 24)


@pytest.mark.parametrize("missing", ["kallsyms", "list", "mem"])
def test_layout_that_is_not_known(missing: str) -> None:
    members = {name: offset for name, offset in (MEMBERS | {"mem": 320}).items() if name != missing}
    btf = make_btf({"module": (1280, members), "mod_kallsyms": (32, TABLES)})

    with pytest.raises(SymbolError, match="no"):
        read_layout(Btf(btf))


def test_types_are_found_in_a_kernel() -> None:
    """Behind what only begins like them."""
    good = make_btf({"module": (64, {"list": 8})})
    kernel = good[:40] + bytes(64) + good + bytes(64)

    found = find_btf(kernel)

    assert found is not None
    assert (found.offset("module", "list"), found.size("module")) == (8, 64)
    assert find_btf(bytes(1000)) is None
    with pytest.raises(SymbolError, match="no struct"):
        found.size("task_struct")
    with pytest.raises(SymbolError, match="no enumerator"):
        found.enumerator("MOD_TEXT")
