"""Write a checked register declaration as a C header, a Python module and a reference page."""

from collections.abc import Iterator

from generator.arch import Arch, Encoding, Register, ValueSet
from generator.emit_wire import NOTICE

__all__ = ("arch_header", "arch_markdown", "arch_python")


def arch_header(arch: Arch) -> str:
    """`el2/include/arch_gen.h`, for C and for the assembler."""
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        f"/* {NOTICE} */",
        "",
        "#ifndef SV_ARCH_GEN_H",
        "#define SV_ARCH_GEN_H",
        "",
        '#include "reg_ul.h"',
        "",
        "/* SYS_x: the register in MRS and MSR. ISS_SYSREG_x: its trapped write from x0. */",
    ]
    for name, encoding in arch.encodings.items():
        lines.append(f"#define SYS_{name} {encoding.assembler}")
        lines.append(f"#define ISS_SYSREG_{name} REG_UL(0x{encoding.syndrome:06x})")
    for register in arch.registers.values():
        lines += ["", f"/* {register.name}: {register.doc} */", *_register_macros(register)]
    for enum in arch.enums:
        lines += ["", f"/* {_title(enum)} */"]
        lines += [
            f"#define {enum.name}_{label} REG_UL({value:#x})"
            for label, value in enum.values.items()
        ]
    return "\n".join([*lines, "", "#endif /* SV_ARCH_GEN_H */", ""])


def _title(enum: ValueSet) -> str:
    fields = ", ".join(".".join(path) for path in enum.fields)
    return f"{fields}: {enum.doc}" if enum.doc else fields


def _register_macros(register: Register) -> Iterator[str]:
    if register.ones:
        yield f"#define {register.name}_RES1 REG_UL(0x{register.ones:016x})"
    for field in register.fields:
        stem = f"{register.name}_{field.name}"
        if field.width == 1:
            comment = f" /* {field.doc} */" if field.doc else ""
            yield f"#define {stem} REG_UL(0x{field.mask:016x}){comment}"
        yield f"#define {stem}_MASK REG_UL(0x{field.mask:016x})"
        yield f"#define {stem}_SHIFT {field.low}"
        yield f"#define {stem}_WIDTH {field.width}"


def arch_python(arch: Arch) -> str:
    """`stepvisor._gen.arch`: the register table and the field values."""
    classes = {enum.name: _class_name(enum) for enum in arch.enums}
    public = sorted(["Field", "REGISTERS", "Register", "SYSTEM_REGISTERS", *classes.values()])
    lines = [
        '"""AArch64 system registers, syndromes and descriptors, bit by bit.',
        "",
        NOTICE,
        '"""',
        "",
        "from enum import IntEnum",
        "from typing import Final, NamedTuple",
        "",
        "__all__ = (",
        *(f'    "{name}",' for name in public),
        ")",
    ]
    for enum in arch.enums:
        lines += ["", "", f"class {classes[enum.name]}(IntEnum):", f'    """{_title(enum)}."""', ""]
        lines += [f"    {_identifier(label)} = {value:#x}" for label, value in enum.values.items()]
    return "\n".join([*lines, *_PYTHON_TYPES, *_python_tables(arch, classes), ""])


_PYTHON_TYPES = (
    "",
    "",
    "class Field(NamedTuple):",
    '    """Bits `high` to `low` of a register; `values` names some of them."""',
    "",
    "    name: str",
    "    high: int",
    "    low: int",
    "    doc: str",
    "    values: type[IntEnum] | None",
    "",
    "",
    "class Register(NamedTuple):",
    '    """A register or a view of a value; `fields` from the top, reserved bits left out."""',
    "",
    "    name: str",
    "    doc: str",
    "    fields: tuple[Field, ...]",
    "",
    "",
)


def _python_tables(arch: Arch, classes: dict[str, str]) -> Iterator[str]:
    yield "SYSTEM_REGISTERS: Final[dict[tuple[int, int, int, int, int], str]] = {"
    for name, encoding in arch.encodings.items():
        yield f'    ({_encoding_list(encoding)}): "{name}",'
    yield "}"
    yield '"""(op0, op1, CRn, CRm, op2) -> name."""'
    yield ""
    yield "REGISTERS: Final[dict[str, Register]] = {"
    named = {path: classes[enum.name] for enum in arch.enums for path in enum.fields}
    for register in arch.registers.values():
        yield f'    "{register.name}": Register('
        yield f'        "{register.name}",'
        yield f'        "{register.doc}",'
        yield "        ("
        for field in register.fields:
            values = named.get((register.name, field.name))
            numbers = f"{field.high}, {field.low}"
            yield f'            Field("{field.name}", {numbers}, "{field.doc}", {values}),'
        yield "        ),"
        yield "    ),"
    yield "}"
    yield '"""Name -> register."""'


def _class_name(enum: ValueSet) -> str:
    return "".join(word[0].upper() + word[1:].lower() for word in enum.name.split("_"))


def _identifier(label: str) -> str:
    return f"SIZE_{label}" if label[0].isdigit() else label


def _encoding_list(encoding: Encoding) -> str:
    return f"{encoding.op0}, {encoding.op1}, {encoding.crn}, {encoding.crm}, {encoding.op2}"


def arch_markdown(arch: Arch) -> str:
    """`docs/reference/registers.md`."""
    lines = [
        "# Registers",
        "",
        f"<!-- {NOTICE} -->",
        "",
        "What the monitor touches, as named in the Arm Architecture Reference Manual (DDI 0487).",
        "Bits that are not listed are reserved, or belong to features that it does not use.",
    ]
    for register in arch.registers.values():
        lines += ["", f"## {register.name}", "", f"{register.doc}.", ""]
        if register.encoding:
            lines += [f"op0, op1, CRn, CRm, op2 = {_encoding_list(register.encoding)}", ""]
        lines += ["| bits | field | meaning |", "|---|---|---|"]
        for field in register.fields:
            bits = f"{field.high}:{field.low}" if field.width > 1 else f"{field.high}"
            lines.append(f"| {bits} | {field.name} | {field.doc} |")
        for enum in arch.enums:
            if enum.fields[0][0] == register.name:
                lines += ["", *_markdown_values(enum)]
    return "\n".join([*lines, ""])


def _markdown_values(enum: ValueSet) -> Iterator[str]:
    yield f"Values of {_title(enum)}"
    yield ""
    yield "| value | name |"
    yield "|---|---|"
    yield from (f"| {value:#x} | {enum.name}_{label} |" for label, value in enum.values.items())
