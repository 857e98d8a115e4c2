"""The words of the probe language."""

from stepvisor.monitor.program import GuestValue, Opcode
from stepvisor.probe.expression import Binary, Constant, Guest, Load, Node, sign_extended

__all__ = ("TYPES", "WORDS", "cast", "load", "word")

TYPES = {f"{letter}{bits}": (letter == "s", bits) for letter in "us" for bits in (8, 16, 32, 64)}
"""``u32[ADDRESS]`` reads memory, ``u32(VALUE)`` keeps the low bits: signed, and how many."""

_GUEST = {f"x{number}": number for number in range(31)} | {
    "fp": 29,
    "lr": 30,
    "sp": int(GuestValue.SP),
    "pc": int(GuestValue.PC),
    "pstate": int(GuestValue.PSTATE),
    "current": int(GuestValue.SP_EL0),
    "ttbr0": int(GuestValue.TTBR0),
    "contextidr": int(GuestValue.CONTEXTIDR),
    "tpidr_el0": int(GuestValue.TPIDR_EL0),
    "vcpu": int(GuestValue.VCPU),
    "ticks": int(GuestValue.TICKS),
}
_HALVES = {f"w{number}": number for number in range(31)}

WORDS = (*_GUEST, *_HALVES, *TYPES, "str", "and", "or", "not", "in")
"""Everything with a meaning of its own."""


def word(name: str) -> Node | None:
    """The value that `name` stands for, None when it has no meaning of its own."""
    if name in _HALVES:
        return cast(Guest(_HALVES[name]), "u32")
    if name in _GUEST:
        return Guest(_GUEST[name])
    return None


def cast(node: Node, kind: str) -> Node:
    """The low bits of a value, as `kind` (a key of TYPES) reads them."""
    signed, bits = TYPES[kind]
    if signed:
        return sign_extended(node, bits)
    if bits == 64:
        return Binary(Opcode.OR, node, Constant(0)) if node.signed else node
    return Binary(Opcode.AND, node, Constant((1 << bits) - 1))


def load(address: Node, kind: str) -> Node:
    """Memory at `address`, as `kind` (a key of TYPES) reads it."""
    signed, bits = TYPES[kind]
    node = Load(address, bits // 8)
    return sign_extended(node, bits) if signed else node
