"""The monitor's debug information and Python's layouts agree, offset by offset."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from stepvisor._gen import wire

STRUCTS = {
    f"sv_{name.lower()}": value for name, value in vars(wire).items() if isinstance(value, np.dtype)
}
"""Tag in C -> layout in Python."""


@pytest.fixture(scope="module")
def debug_structs(monitor_build: Path) -> Iterator[dict[str, Any]]:
    """Tag -> DIE of every complete `struct sv_*` in the monitor."""
    with (monitor_build / "monitor.elf").open("rb") as stream:
        dwarf = ELFFile(stream).get_dwarf_info()
        found = {}
        for unit in dwarf.iter_CUs():
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_structure_type" and "DW_AT_byte_size" in die.attributes:
                    found[name_of(die)] = die
                    list(die.iter_children())
        yield found


def name_of(die: Any) -> str:
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode() if attribute else ""


def strip(die: Any) -> Any:
    """The type behind typedefs and qualifiers."""
    while die.tag in {"DW_TAG_typedef", "DW_TAG_volatile_type", "DW_TAG_const_type"}:
        die = die.get_DIE_from_attribute("DW_AT_type")
    return die


def members(die: Any, base: int = 0) -> Iterator[tuple[str, int, int]]:
    """(name, offset, bytes) of every member, embedded structures flattened."""
    for child in die.iter_children():
        if child.tag != "DW_TAG_member":
            continue
        offset = base + child.attributes["DW_AT_data_member_location"].value
        kind = strip(child.get_DIE_from_attribute("DW_AT_type"))
        if kind.tag == "DW_TAG_structure_type":
            yield from members(kind, offset)
        else:
            yield name_of(child), offset, size_of(kind)


def size_of(kind: Any) -> int:
    if kind.tag != "DW_TAG_array_type":
        return int(kind.attributes["DW_AT_byte_size"].value)
    element = strip(kind.get_DIE_from_attribute("DW_AT_type"))
    (dimension,) = kind.iter_children()
    if "DW_AT_count" in dimension.attributes:
        count = dimension.attributes["DW_AT_count"].value
    else:
        count = dimension.attributes["DW_AT_upper_bound"].value + 1
    return int(count) * size_of(element)


def test_there_are_layouts_to_compare() -> None:
    assert {"sv_control", "sv_record_hit", "sv_ring_index"} <= STRUCTS.keys()


@pytest.mark.parametrize("tag", STRUCTS)
def test_dwarf_and_numpy_agree(tag: str, debug_structs: dict[str, Any]) -> None:
    layout = STRUCTS[tag]
    assert layout.fields is not None

    die = debug_structs[tag]

    assert die.attributes["DW_AT_byte_size"].value == layout.itemsize
    assert sorted(members(die)) == sorted(
        (name, entry[1], entry[0].itemsize) for name, entry in layout.fields.items()
    )
