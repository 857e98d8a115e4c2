"""The probe language's expressions: what a hit can be asked, as a tree.

Values are 64-bit numbers, unsigned unless they come from a signed load or cast. Arithmetic wraps.
A comparison is signed when one of its sides is.
"""

from dataclasses import dataclass
from typing import TypeAlias

from stepvisor.monitor.program import Opcode

__all__ = (
    "MASK",
    "Binary",
    "Both",
    "Choice",
    "Constant",
    "Either",
    "Guest",
    "Inverse",
    "Load",
    "Node",
    "Text",
    "sign_extended",
)

MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, not yet wrapped: it takes the signedness of whatever it meets."""

    value: int
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Guest:
    """A register of the vCPU, or what else is known at a hit."""

    number: int
    """Of :class:`stepvisor.monitor.program.GuestValue`; 0 to 30 for x0 to x30."""
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Guest memory at a virtual address; 0 where there is none."""

    address: "Node"
    size: int
    """Bytes: 1, 2, 4 or 8."""
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation of the machine on two values."""

    opcode: Opcode
    left: "Node"
    right: "Node"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """1 when both are not 0, else 0; the right side is not looked at without need."""

    left: "Node"
    right: "Node"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Either:
    """1 when one is not 0, else 0; the right side is not looked at without need."""

    left: "Node"
    right: "Node"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Inverse:
    """1 for 0, else 0."""

    operand: "Node"
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One of two values."""

    condition: "Node"
    yes: "Node"
    no: "Node"
    signed: bool = False


Node: TypeAlias = Constant | Guest | Load | Binary | Both | Either | Inverse | Choice


@dataclass(frozen=True, slots=True)
class Text:
    """A string in guest memory that ends with a zero byte. It can be captured, nothing else."""

    address: Node
    limit: int
    """Bytes at most."""


def sign_extended(node: Node, bits: int) -> Node:
    """The low `bits` of a value as a signed number."""
    if bits < 64:
        distance = Constant(64 - bits)
        node = Binary(Opcode.SHL, node, distance)
        return Binary(Opcode.SAR, node, distance, signed=True)
    return Binary(Opcode.OR, node, Constant(0), signed=True)
