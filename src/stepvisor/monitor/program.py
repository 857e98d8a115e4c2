"""Programs: what a hit decides, counts and captures, as the hypervisor's little machine runs it.

Sixteen registers of 64 bits, no loops: jumps go forward only, so that a program of n instructions
runs at most n of them. Reading guest memory that is not there gives 0 and marks the value, and
whatever is computed from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire

__all__ = (
    "COUNTERS",
    "HISTOGRAMS",
    "LONGEST_STRING",
    "MAX_CAPTURE",
    "MAX_PROGRAM",
    "PROGRAM_REGISTERS",
    "Comparing",
    "GuestValue",
    "Instruction",
    "Opcode",
    "Program",
    "Relation",
    "captured_bytes",
    "encode",
    "refusal",
)

Opcode: TypeAlias = wire.Opcode
Comparing: TypeAlias = wire.Comparison
Relation: TypeAlias = wire.Relation
GuestValue: TypeAlias = wire.GuestValue
"""What GUEST reads; 0 to 30 are x0 to x30."""

COUNTERS = wire.COUNTERS
HISTOGRAMS = wire.HISTOGRAMS
MAX_CAPTURE = wire.MAX_CAPTURE
MAX_PROGRAM = wire.MAX_PROGRAM
PROGRAM_REGISTERS = wire.PROGRAM_REGISTERS
LONGEST_STRING = 512
"""Bytes of one captured string."""

_ENDS = frozenset({Opcode.ACCEPT, Opcode.REJECT})
_JUMPS = frozenset({Opcode.JUMP, Opcode.JUMP_IF_ZERO, Opcode.JUMP_COMPARE})
_EMITS = frozenset({Opcode.EMIT, Opcode.EMIT_GUEST})
_SIZES = frozenset({1, 2, 4, 8})
_STRING_HEADER = 8
_GUEST_REGISTERS = 31
_GUEST_VALUES = frozenset({*range(_GUEST_REGISTERS), *(int(value) for value in GuestValue)})


class Instruction(NamedTuple):
    """One instruction; what an opcode does not use is 0."""

    opcode: Opcode
    d: int = 0
    """Register that gets the result; of JUMP_COMPARE, the guest's."""
    a: int = 0
    """First operand; of JUMP_COMPARE, relations of which one must hold."""
    b: int = 0
    """Second operand; of LOAD, its bytes; of JUMP_COMPARE, how."""
    target: int = 0
    """Of jumps: instructions to skip. Of EMIT_STRING: bytes at most."""
    immediate: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """A whole program, equal to another one of the same code."""

    code: tuple[Instruction, ...]


def encode(program: Program) -> NDArray[np.void]:
    """The program in the monitor's format."""
    table = np.zeros(len(program.code), wire.INSTRUCTION)
    columns = zip(*program.code, strict=True)
    for name, column in zip(Instruction._fields, columns, strict=True):
        table[name] = np.array([value % (1 << 64) for value in column], np.uint64)
    return table


def captured_bytes(instruction: Instruction) -> int:
    """Bytes that an instruction may add to the record."""
    if instruction.opcode in _EMITS:
        return 8
    if instruction.opcode is Opcode.EMIT_STRING:
        return _STRING_HEADER + (instruction.target + 7) // 8 * 8
    return 0


def refusal(code: Sequence[Instruction]) -> str | None:
    """Why the monitor would not load `code`; None when it would."""
    if not 0 < len(code) <= MAX_PROGRAM:
        return f"{len(code)} instructions; 1 to {MAX_PROGRAM} are possible"
    if code[-1].opcode not in _ENDS:
        return "the last instruction does not end the program"
    for number, instruction in enumerate(code):
        wrong = _operands(instruction, len(code) - number - 1)
        if wrong is not None:
            return f"instruction {number} ({instruction.opcode.name}): {wrong}"
    size = sum(captured_bytes(instruction) for instruction in code)
    if size > MAX_CAPTURE:
        return f"it captures up to {size} bytes; {MAX_CAPTURE} are possible"
    return None


def _operands(i: Instruction, left: int) -> str | None:
    """What is wrong with an instruction that `left` others follow."""
    if i.opcode is Opcode.JUMP_COMPARE:
        if i.d >= _GUEST_REGISTERS or i.a >= 2 * Relation.LESS or i.b >= 2 * Comparing.WORD:
            return "no such comparison"
    elif max(i.d, i.a, i.b) >= PROGRAM_REGISTERS:
        return f"registers are 0 to {PROGRAM_REGISTERS - 1}"
    checks: dict[Opcode, tuple[bool, str]] = {
        Opcode.GUEST: (i.immediate in _GUEST_VALUES, "no such guest value"),
        Opcode.EMIT_GUEST: (i.immediate in _GUEST_VALUES, "no such guest value"),
        Opcode.LOAD: (i.b in _SIZES, "loads have 1, 2, 4 or 8 bytes"),
        Opcode.EMIT_STRING: (i.target <= LONGEST_STRING, "the string is too long"),
        Opcode.COUNT: (i.immediate < COUNTERS, "no such counter"),
        Opcode.HISTOGRAM: (i.immediate < HISTOGRAMS, "no such histogram"),
    }
    if i.opcode in _JUMPS and i.target >= left:
        return "it jumps out of the program"
    right, message = checks.get(i.opcode, (True, ""))
    return None if right else message
