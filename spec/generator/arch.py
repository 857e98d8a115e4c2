"""Read and check `spec/arch.toml`: register fields, encodings and field values.

A register accounts for each of its 64 bits, so that a field cannot be forgotten or placed twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator import SpecError

__all__ = ("Arch", "Encoding", "Field", "Register", "ValueSet", "load_arch")

_RESERVED = ("-", "1")
_ENCODING_LIMITS = (4, 8, 16, 16, 8)


@dataclass(frozen=True)
class Encoding:
    """The five numbers of a system register in MRS and MSR."""

    op0: int
    op1: int
    crn: int
    crm: int
    op2: int

    @property
    def assembler(self) -> str:
        """The name every assembler takes."""
        return f"S{self.op0}_{self.op1}_C{self.crn}_C{self.crm}_{self.op2}"

    @property
    def syndrome(self) -> int:
        """ESR_ELx.ISS of a trapped write from x0."""
        return self.op0 << 20 | self.op2 << 17 | self.op1 << 14 | self.crn << 10 | self.crm << 1


@dataclass(frozen=True)
class Field:
    """Bits `high` to `low` of a register."""

    name: str
    high: int
    low: int
    doc: str

    @property
    def width(self) -> int:
        """Bits."""
        return self.high - self.low + 1

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Register:
    """A register or a view of a value; `fields` from the top, without the reserved ones."""

    name: str
    doc: str
    encoding: Encoding | None
    fields: tuple[Field, ...]
    ones: int
    """Mask of the bits that are written as 1."""


@dataclass(frozen=True)
class ValueSet:
    """Named values of one or more register fields, the same in all."""

    name: str
    doc: str
    fields: tuple[tuple[str, str], ...]
    """Register and field names."""
    values: dict[str, int]


@dataclass(frozen=True)
class Arch:
    """Everything in `arch.toml`, checked."""

    encodings: dict[str, Encoding]
    """Of all registers that have one, sorted by name."""
    registers: dict[str, Register]
    enums: tuple[ValueSet, ...]


def load_arch(tree: dict[str, Any]) -> Arch:
    """Check a parsed `arch.toml`. Raises SpecError."""
    registers = {name: _register(name, entry) for name, entry in tree["registers"].items()}
    encodings = {name: _encoding(name, text) for name, text in tree["encodings"].items()}
    for name, register in registers.items():
        if register.encoding is None:
            continue
        if name in encodings:
            raise SpecError(f"{name}: encoding declared twice")
        encodings[name] = register.encoding
    _check_encodings(encodings)
    enums = tuple(_value_set(name, entry, registers) for name, entry in tree["enums"].items())
    arch = Arch(dict(sorted(encodings.items())), registers, enums)
    _check_names(arch)
    return arch


def _encoding(name: str, text: str) -> Encoding:
    numbers = [int(word) for word in text.split()]
    if len(numbers) != len(_ENCODING_LIMITS) or not all(
        0 <= number < limit for number, limit in zip(numbers, _ENCODING_LIMITS, strict=True)
    ):
        raise SpecError(f"{name}: encoding {text!r} is not op0 op1 CRn CRm op2")
    return Encoding(*numbers)


def _check_encodings(encodings: dict[str, Encoding]) -> None:
    seen: dict[Encoding, str] = {}
    for name, encoding in encodings.items():
        if encoding in seen:
            raise SpecError(f"{name}: duplicate encoding, that of {seen[encoding]}")
        seen[encoding] = name


def _register(name: str, entry: dict[str, Any]) -> Register:
    if unknown := sorted(entry.keys() - {"doc", "encoding", "fields"}):
        raise SpecError(f"{name}: unknown key {', '.join(unknown)}")
    parsed = [_field(name, item) for item in entry["fields"]]
    _check_coverage(name, parsed)
    return Register(
        name,
        entry["doc"],
        _encoding(name, entry["encoding"]) if "encoding" in entry else None,
        tuple(field for field in parsed if field.name not in _RESERVED),
        sum(field.mask for field in parsed if field.name == "1"),
    )


def _field(register: str, item: list[str]) -> Field:
    bits, name, *doc = item
    high, _, low = bits.partition(":")
    field = Field(name, int(high), int(low or high), doc[0] if doc else "")
    if field.high < field.low:
        raise SpecError(f"{register}.{name}: bits {bits} are upside down")
    return field


def _check_coverage(register: str, fields: list[Field]) -> None:
    names: set[str] = set()
    following = 63
    for field in fields:
        where = f"{register}.{field.name}"
        if field.high != following:
            kind = "gap" if field.high < following else "overlap"
            raise SpecError(f"{where}: {kind}, bit {field.high} but {following} comes next")
        if field.name not in _RESERVED and field.name in names:
            raise SpecError(f"{where}: duplicate field name")
        names.add(field.name)
        following = field.low - 1
    if following != -1:
        raise SpecError(f"{register}: gap, bits {following} to 0 are missing")


def _value_set(name: str, entry: dict[str, Any], registers: dict[str, Register]) -> ValueSet:
    if unknown := sorted(entry.keys() - {"doc", "fields", "values"}):
        raise SpecError(f"{name}: unknown key {', '.join(unknown)}")
    fields = tuple(_find_field(name, path, registers) for path in entry["fields"])
    width = min(field.width for _, field in fields)
    seen: dict[int, str] = {}
    for label, value in entry["values"].items():
        if value in seen:
            raise SpecError(f"{name}.{label}: value {value:#x} is taken by {seen[value]}")
        if not 0 <= value < 1 << width:
            raise SpecError(f"{name}.{label}: value {value:#x} is wider than {width} bits")
        seen[value] = label
    paths = tuple((register, field.name) for register, field in fields)
    return ValueSet(name, entry.get("doc", ""), paths, entry["values"])


def _find_field(enum: str, path: str, registers: dict[str, Register]) -> tuple[str, Field]:
    register, _, name = path.partition(".")
    if register in registers:
        for field in registers[register].fields:
            if field.name == name:
                return register, field
    raise SpecError(f"{enum}: there is no field {path}")


def _check_names(arch: Arch) -> None:
    seen: set[str] = set()
    for name in _macro_names(arch):
        if name in seen:
            raise SpecError(f"{name}: duplicate name")
        seen.add(name)


def _macro_names(arch: Arch) -> Iterator[str]:
    """Every name that the C header defines."""
    for name in arch.encodings:
        yield from (f"SYS_{name}", f"ISS_SYSREG_{name}")
    for register in arch.registers.values():
        for field in register.fields:
            stem = f"{register.name}_{field.name}"
            yield from (f"{stem}_MASK", f"{stem}_SHIFT", f"{stem}_WIDTH")
            if field.width == 1:
                yield stem
    for enum in arch.enums:
        yield from (f"{enum.name}_{label}" for label in enum.values)
