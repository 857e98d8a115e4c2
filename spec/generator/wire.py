"""Read and check `spec/wire.toml`: constants, enumerations and record layouts.

A layout is complete (no gap, no overlap, naturally aligned, a multiple of 8 bytes), so that C,
NumPy and DWARF cannot disagree about padding: there is none.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator import SpecError

__all__ = ("TYPES", "Constant", "Enumeration", "Field", "Struct", "Wire", "load_wire")

TYPES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
"""Field types and their sizes in bytes."""

_STRUCT_ALIGNMENT = 8


@dataclass(frozen=True)
class Constant:
    """A named unsigned 64-bit number."""

    name: str
    value: int
    doc: str


@dataclass(frozen=True)
class Enumeration:
    """Named 32-bit values; `bits` when they are or-ed together."""

    name: str
    doc: str
    bits: bool
    values: dict[str, int]


@dataclass(frozen=True)
class Field:
    """A scalar, or an array when `count` is given."""

    name: str
    type: str
    offset: int
    count: int | None
    doc: str

    @property
    def size(self) -> int:
        """Bytes, all elements."""
        return TYPES[self.type] * (1 if self.count is None else self.count)


@dataclass(frozen=True)
class Struct:
    """A layout; `extends` names the layout that it starts with."""

    name: str
    doc: str
    size: int
    extends: str | None
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Wire:
    """Everything in `wire.toml`, checked."""

    constants: tuple[Constant, ...]
    enums: tuple[Enumeration, ...]
    structs: dict[str, Struct]

    @property
    def abi_hash(self) -> int:
        """64 bits of a SHA-256 of what the declarations mean; docs and comments do not count."""
        meaning = {
            "constants": {c.name: c.value for c in self.constants},
            "enums": {e.name: e.values for e in self.enums},
            "structs": {
                s.name: [s.size, s.extends, [(f.offset, f.type, f.name, f.count) for f in s.fields]]
                for s in self.structs.values()
            },
        }
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def all_fields(self, struct: Struct) -> tuple[Field, ...]:
        """The fields of `struct`, those of the layout that it extends first."""
        base = self.all_fields(self.structs[struct.extends]) if struct.extends else ()
        return base + struct.fields


def load_wire(tree: dict[str, Any]) -> Wire:
    """Check a parsed `wire.toml`. Raises SpecError."""
    _only(tree, {"constants", "enums", "structs"}, "wire")
    constants = tuple(_constant(name, entry) for name, entry in tree["constants"].items())
    enums = tuple(_enumeration(name, entry) for name, entry in tree["enums"].items())
    structs: dict[str, Struct] = {}
    for name, entry in tree["structs"].items():
        structs[name] = _struct(name, entry, structs)
    wire = Wire(constants, enums, structs)
    _check_names(wire)
    return wire


def _constant(name: str, entry: dict[str, Any]) -> Constant:
    _only(entry, {"value", "doc"}, name)
    if not 0 <= entry["value"] < 1 << 64:
        raise SpecError(f"{name}: {entry['value']:#x} does not fit in 64 bits")
    return Constant(name, entry["value"], entry.get("doc", ""))


def _enumeration(name: str, entry: dict[str, Any]) -> Enumeration:
    _only(entry, {"doc", "bits", "values"}, name)
    bits = entry.get("bits", False)
    seen: dict[int, str] = {}
    for label, value in entry["values"].items():
        if not 0 <= value < 1 << 32:
            raise SpecError(f"{name}.{label}: {value} does not fit in 32 bits")
        if value in seen:
            raise SpecError(f"{name}.{label}: value {value} is taken by {seen[value]}")
        if bits and value.bit_count() != 1:
            raise SpecError(f"{name}.{label}: {value} is not a single bit")
        seen[value] = label
    return Enumeration(name, entry.get("doc", ""), bits, entry["values"])


def _struct(name: str, entry: dict[str, Any], known: dict[str, Struct]) -> Struct:
    _only(entry, {"doc", "size", "extends", "fields"}, name)
    extends = entry.get("extends")
    if extends is not None and extends not in known:
        raise SpecError(f"{name}: extends {extends}, which is not declared before it")
    fields = tuple(_field(name, item) for item in entry["fields"])
    struct = Struct(name, entry.get("doc", ""), entry["size"], extends, fields)
    _check_layout(struct, known[extends] if extends else None)
    return struct


def _field(struct: str, item: dict[str, Any]) -> Field:
    where = f"{struct}.{item.get('name', '?')}"
    _only(item, {"offset", "type", "name", "count", "doc"}, where)
    if item["type"] not in TYPES:
        raise SpecError(f"{where}: type {item['type']} is none of {', '.join(TYPES)}")
    count = item.get("count")
    if count is not None and count < 1:
        raise SpecError(f"{where}: count {count} is less than 1")
    return Field(item["name"], item["type"], item["offset"], count, item.get("doc", ""))


def _check_layout(struct: Struct, base: Struct | None) -> None:
    names = {"record"} if base else set()
    end = base.size if base else 0
    for field in struct.fields:
        where = f"{struct.name}.{field.name}"
        if field.name in names:
            raise SpecError(f"{where}: duplicate field name")
        if field.offset % TYPES[field.type]:
            raise SpecError(f"{where}: offset {field.offset:#x} is misaligned for {field.type}")
        if field.offset != end:
            kind = "gap" if field.offset > end else "overlap"
            raise SpecError(f"{where}: {kind}, offset {field.offset:#x} but {end:#x} comes next")
        names.add(field.name)
        end = field.offset + field.size
    if end != struct.size:
        raise SpecError(f"{struct.name}: fields end at {end:#x}, size is {struct.size:#x}")
    if end % _STRUCT_ALIGNMENT:
        raise SpecError(f"{struct.name}: size {end:#x} is not a multiple of {_STRUCT_ALIGNMENT}")


def _check_names(wire: Wire) -> None:
    seen: set[str] = set()
    for name in _macro_names(wire):
        if name in seen:
            raise SpecError(f"SV_{name}: duplicate name")
        seen.add(name)


def _macro_names(wire: Wire) -> Iterator[str]:
    """Every name that the C header defines, without its prefix."""
    yield "ABI_HASH"
    yield from (constant.name for constant in wire.constants)
    for enum in wire.enums:
        yield from (f"{enum.name}_{label}".upper() for label in enum.values)
    for struct in wire.structs.values():
        yield f"{struct.name}_size".upper()
        fields = wire.all_fields(struct)
        yield from (f"{struct.name}_{field.name}_offset".upper() for field in fields)


def _only(entry: dict[str, Any], allowed: set[str], where: str) -> None:
    if unknown := sorted(entry.keys() - allowed):
        raise SpecError(f"{where}: unknown key {', '.join(unknown)}")
