"""Read and check `spec/encodings.toml`, and write it as C predicates and a Python module."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from generator import SpecError
from generator.emit_wire import NOTICE

__all__ = ("Group", "encodings_header", "encodings_python", "load_encodings")

_WORD = 1 << 32


@dataclass(frozen=True)
class Group:
    """Instruction words that match any of some patterns."""

    name: str
    doc: str
    patterns: tuple[tuple[int, int], ...]
    """Mask and value of each."""


def load_encodings(tree: dict[str, Any]) -> tuple[Group, ...]:
    """Check a parsed `encodings.toml`. Raises SpecError."""
    return tuple(_group(name, entry) for name, entry in tree["groups"].items())


def _group(name: str, entry: dict[str, Any]) -> Group:
    patterns = tuple((pattern["mask"], pattern["value"]) for pattern in entry["patterns"])
    for mask, value in patterns:
        if not (0 <= mask < _WORD and value & ~mask == 0):
            raise SpecError(f"{name}: {value:#010x} has bits that its mask {mask:#010x} has not")
    for index, (mask, value) in enumerate(patterns):
        for other_mask, other in patterns[:index]:
            if (value ^ other) & mask & other_mask == 0:
                raise SpecError(f"{name}: {value:#010x} and {other:#010x} overlap")
    return Group(name, entry["doc"], patterns)


def encodings_header(groups: tuple[Group, ...]) -> str:
    """`el2/include/encodings_gen.h`: a predicate for each group."""
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        f"/* {NOTICE} */",
        "",
        "#ifndef SV_ENCODINGS_GEN_H",
        "#define SV_ENCODINGS_GEN_H",
        "",
        '#include "types.h"',
        "",
    ]
    for group in groups:
        lines += [*_predicate(group), ""]
    return "\n".join([*lines, "#endif /* SV_ENCODINGS_GEN_H */", ""])


def _predicate(group: Group) -> Iterator[str]:
    tests = [f"(word & 0x{mask:08x}U) == 0x{value:08x}U" for mask, value in group.patterns]
    yield f"/* {group.doc}. */"
    yield f"static inline bool is_{group.name.lower()}(u32 word)"
    yield "{"
    yield "\treturn " + " ||\n\t       ".join(tests) + ";"
    yield "}"


def encodings_python(groups: tuple[Group, ...]) -> str:
    """`stepvisor._gen.encodings`: mask and value of each pattern."""
    lines = [
        '"""Groups of instruction encodings: a word belongs to one when a pattern fits.',
        "",
        NOTICE,
        '"""',
        "",
        "from typing import Final",
        "",
        "__all__ = (",
        *(f'    "{name}",' for name in sorted(group.name for group in groups)),
        ")",
        "",
        "Patterns = tuple[tuple[int, int], ...]",
    ]
    for group in groups:
        lines += ["", f"{group.name}: Final[Patterns] = ("]
        lines += [f"    (0x{mask:08X}, 0x{value:08X})," for mask, value in group.patterns]
        lines += [")", f'"""{group.doc}."""']
    return "\n".join([*lines, ""])
