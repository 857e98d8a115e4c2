"""Functions whose names the compiler has changed."""

from collections.abc import Sequence

import numpy as np
import pytest
from fake_modules import NEAR, FakeKernel, read_all

from stepvisor.errors import SymbolError
from stepvisor.probe.many import find_functions
from stepvisor.probe.resolve import Target, resolve
from stepvisor.symbols.modules import Modules
from stepvisor.symbols.table import SymbolTable
from stepvisor.trace.step_plan import any_code

BASE = 0xFFFF_8000_8000_0000


def make_table(*names: str, types: str = "") -> SymbolTable:
    """Functions 0x100 apart, the first at 0x100."""
    every = ("_stext", *names, "_etext")
    addresses = np.array([BASE + 0x100 * i for i in range(len(every))], np.uint64)
    letters = f"T{types or 't' * len(names)}D"
    return SymbolTable(every, letters, addresses, BASE, BASE + 0x10_0000)


@pytest.mark.parametrize(
    "name",
    [
        "foo.isra.0",
        "foo.constprop.12",
        "foo.constprop.0.isra.0",
        "foo.llvm.1234567890123456789",
        "foo.__uniq.987654321",
        "foo.__uniq.987654321.llvm.1",
        "foo.lto_priv.3",
        "foo.specialized.1",
    ],
)
def test_the_plain_name_finds_it(name: str) -> None:
    table = make_table("foo_bar.isra.0", "a_foo.isra.0", name, f"{name}.cfi_jt", f"{name}.cold")

    assert resolve(table, "foo") == Target(name, 0x300)
    assert resolve(table, "foo+0x10") == Target(f"{name}+0x10", 0x310)
    assert any_code(table, "foo") == Target(name, 0x300)
    assert resolve(table, name) == Target(name, 0x300)
    assert resolve(table, f"{name}.cold") == Target(f"{name}.cold", 0x500)
    assert resolve(table, f"{name}.cfi_jt") == Target(f"{name}.cfi_jt", 0x400)


@pytest.mark.parametrize(
    "name",
    [
        "foo.cold",
        "foo.part.0",
        "foo.part.0.isra.0",
        "foo.isra.0.cold",
        "foo.cfi_jt",
        "foo.llvm.5.cfi_jt",
        "foo.5",
        "foo.isra.x",
        "foo.israel",
        "foo.",
    ],
)
def test_what_is_not_its_entry(name: str) -> None:
    with pytest.raises(SymbolError, match="no symbol 'foo'") as raised:
        resolve(make_table(name, "vfs_read"), "foo")

    assert raised.value.near[:1] == (name,)


def test_data_is_not_a_function() -> None:
    with pytest.raises(SymbolError, match="no symbol 'foo'"):
        resolve(make_table("foo.llvm.1", types="d"), "foo")


@pytest.mark.parametrize("names", [("foo", "foo.isra.0"), ("foo.constprop.0", "foo")])
def test_the_name_as_it_is_given_goes_first(names: Sequence[str]) -> None:
    assert resolve(make_table(*names), "foo") == Target("foo", 0x100 * names.index("foo") + 0x100)


def test_several_are_listed_with_names_that_are_understood() -> None:
    table = make_table("foo.isra.0", "foo.constprop.0", "foo.isra.0", "foo.cold")
    with pytest.raises(SymbolError, match="'foo' is ambiguous: the kernel has 3 of it") as raised:
        resolve(table, "foo")

    assert raised.value.near == ("foo.isra.0@1", "foo.constprop.0", "foo.isra.0@2")
    assert "foo.isra.0@2 at 0xffff800080000300" in str(raised.value)
    assert [resolve(table, name).offset for name in raised.value.near] == [0x100, 0x200, 0x300]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("vfs_*", ["vfs_read", "vfs_write.llvm.7"]),
        (" vfs_read* ", ["vfs_read"]),
        ("vfs_*.cfi_jt", ["vfs_read.cfi_jt", "vfs_write.llvm.7.cfi_jt"]),
        ("vfs_read*cfi_jt*", ["vfs_read.cfi_jt"]),
    ],
)
def test_jump_tables_fit_where_they_are_asked_for(pattern: str, names: list[str]) -> None:
    table = make_table("vfs_read", "vfs_read.cfi_jt", "vfs_write.llvm.7", "vfs_write.llvm.7.cfi_jt")

    assert [target.label for target in find_functions(table, pattern)[0]] == names


def in_kernel_or_module(text: str, kernel_name: str, *module_names: str) -> str:
    """What `text` finds in a kernel and modules m0, m1, ... that have one function each."""
    kernel = FakeKernel()
    for number, name in reversed(list(enumerate(module_names))):
        kernel.add_module(f"m{number}", NEAR + number * 0x10_0000, {name: ("t", 0x40, 0x40)})
    table = make_table(kernel_name)
    return resolve(table, text, table, Modules(lambda: read_all(kernel))).label


@pytest.mark.parametrize(
    ("names", "text", "label"),
    [
        (("other", "foo.isra.0"), "m0:foo", "m0:foo.isra.0"),
        (("other", "foo.isra.0"), "foo+8", "m0:foo.isra.0+0x8"),
        (("other", "foo.isra.0", "foo"), "foo", "m1:foo"),
        (("foo.isra.0", "foo"), "foo", "m0:foo"),
        (("foo.isra.0", "foo.isra.0"), "foo", "foo.isra.0"),
        (("foo", "foo"), "foo", "foo"),
    ],
)
def test_modules(names: Sequence[str], text: str, label: str) -> None:
    assert in_kernel_or_module(text, *names) == label


def test_several_modules_have_it() -> None:
    with pytest.raises(SymbolError, match="ambiguous: there are m0:foo, m1:foo"):
        in_kernel_or_module("foo", "other", "foo.isra.0", "foo.constprop.0")


def test_a_module_does_not_hide_that_the_kernel_has_several() -> None:
    kernel = FakeKernel()
    kernel.add_module("m0", NEAR, {"show": ("t", 0x40, 0x40)})
    table = make_table("show", "show")

    with pytest.raises(SymbolError, match=r"show@1 at .*, show@2 at "):
        resolve(table, "show", table, Modules(lambda: read_all(kernel)))
