"""Comparisons of a guest register with a number, which the monitor decides in one instruction."""

from dataclasses import dataclass, replace
from typing import Self

from stepvisor.monitor.program import Comparing, Opcode, Relation
from stepvisor.probe.expression import MASK, Binary, Constant, Guest, Node

__all__ = ("Comparison", "find_comparison")

_REGISTERS = 31
_WORD_BITS = 32
_WORD_MASK = (1 << _WORD_BITS) - 1

_RELATIONS = {
    Opcode.EQ: (Relation.EQUAL, False),
    Opcode.NE: (Relation.EQUAL, True),
    Opcode.LTU: (Relation.BELOW, False),
    Opcode.LEU: (Relation.BELOW | Relation.EQUAL, False),
    Opcode.LTS: (Relation.LESS, False),
    Opcode.LES: (Relation.LESS | Relation.EQUAL, False),
}
"""Relations of which one holds when the comparison does; or none, when inverted."""

_SWAPPED = {
    Opcode.EQ: (Relation.EQUAL, False),
    Opcode.NE: (Relation.EQUAL, True),
    Opcode.LTU: (Relation.BELOW | Relation.EQUAL, True),
    Opcode.LEU: (Relation.BELOW, True),
    Opcode.LTS: (Relation.LESS | Relation.EQUAL, True),
    Opcode.LES: (Relation.LESS, True),
}
"""The same when the register is on the right: 3 < x is not x <= 3."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Holds when one of `relations` between the register and `value` does, or none if inverted."""

    register: int
    """0 to 30 for x0 to x30."""
    relations: Relation
    how: Comparing
    value: int
    """As 64 bits."""

    def opposite(self) -> Self:
        """Holds when this one does not."""
        return replace(self, how=self.how ^ Comparing.INVERTED)


def find_comparison(node: Node) -> Comparison | None:
    """`node` as a comparison of a general register with a number; None when it is something else.

    A register alone is one, too: it is true when it is not 0.
    """
    if not isinstance(node, Binary):
        return _comparison(node, (Relation.EQUAL, True), 0)
    if isinstance(node.right, Constant):
        return _comparison(node.left, _RELATIONS.get(node.opcode), node.right.value)
    if isinstance(node.left, Constant):
        return _comparison(node.right, _SWAPPED.get(node.opcode), node.left.value)
    return None


def _comparison(
    side: Node, relation: tuple[Relation, bool] | None, value: int
) -> Comparison | None:
    operand = _operand(side)
    if relation is None or operand is None:
        return None
    relations, inverted = relation
    how = Comparing.INVERTED if inverted else Comparing(0)
    if operand.bits == _WORD_BITS:
        how |= Comparing.WORD
    if not operand.is_value(value):
        return None  # what the register cannot be is left to the general way
    return Comparison(operand.register, relations, how, value << 64 - operand.bits & MASK)


@dataclass(frozen=True, slots=True)
class _Operand:
    """A general register or its low half."""

    register: int
    bits: int = 64
    signed: bool = False

    def is_value(self, value: int) -> bool:
        """Whether it can be `value`."""
        if self.signed:
            return -(1 << self.bits - 1) <= value < 1 << self.bits - 1
        return 0 <= value < 1 << self.bits


def _operand(node: Node) -> _Operand | None:
    distance = Constant(_WORD_BITS)
    match node:
        case Guest(number=number):
            found = _Operand(number)
        case Binary(Opcode.OR, Guest(number=number), Constant(0)):  # s64() and u64()
            found = _Operand(number, signed=node.signed)
        case Binary(Opcode.AND, Guest(number=number), Constant(value=mask)) if mask == _WORD_MASK:
            found = _Operand(number, _WORD_BITS)  # w0 and u32()
        case Binary(Opcode.SAR, Binary(Opcode.SHL, Guest(number=number), first), second) if (
            first == second == distance
        ):
            found = _Operand(number, _WORD_BITS, signed=True)  # s32()
        case _:
            return None
    return found if found.register < _REGISTERS else None
