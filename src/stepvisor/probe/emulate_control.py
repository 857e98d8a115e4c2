"""Branches, hints, loads and one system register, as operations that a monitor performs.

Source: Arm Architecture Reference Manual, "A64 instruction set encoding", "Branches, Exception
Generating and System instructions" and "Loads and Stores".
"""

from stepvisor.monitor.emulation import NO_OPERANDS, Emulation, Operand, Operation
from stepvisor.probe.fields import Decoders, bits, signed

__all__ = ("DECODERS",)

_SP = 31
_PACIASP = 25
_NOP_HINTS = frozenset({0, 1, 32, 34, 36, 38})
"""NOP, YIELD and BTI with its three operands.

A hint number that is free today may mean something on the next core; what is left to the core is
stepped. BTI has acted before its probe is hit, or acts when it is stepped.
"""

_PREFETCH = 2
_SIGNED_TO_64 = 2
_SIGNED_TO_32 = 3


def _hint(word: int) -> Emulation | None:
    number = bits(word, 5, 7)
    if number in _NOP_HINTS:
        return Emulation(Operation.NOP)
    if number == _PACIASP:
        return Emulation(Operation.PACIASP, Operand.WIDE, d=30, n=30)
    return None


def _prefetch(_word: int) -> Emulation:
    return Emulation(Operation.NOP)


def _prefetch_register(word: int) -> Emulation | None:
    return Emulation(Operation.NOP) if bits(word, 14, 1) else None


def _branch(word: int) -> Emulation:
    link = Operand.LINK if word >> 31 else NO_OPERANDS
    return Emulation(Operation.BRANCH, link, immediate=signed(bits(word, 0, 26) << 2, 28))


def _branch_if(word: int) -> Emulation:
    return Emulation(
        Operation.BRANCH_IF, a=bits(word, 0, 4), immediate=signed(bits(word, 5, 19) << 2, 21)
    )


def _branch_zero(word: int) -> Emulation:
    operand = Operand.WIDE if word >> 31 else NO_OPERANDS
    if bits(word, 24, 1):
        operand |= Operand.NONZERO
    return Emulation(
        Operation.BRANCH_ZERO,
        operand,
        n=bits(word, 0, 5),
        immediate=signed(bits(word, 5, 19) << 2, 21),
    )


def _branch_bit(word: int) -> Emulation:
    return Emulation(
        Operation.BRANCH_BIT,
        Operand.NONZERO if bits(word, 24, 1) else NO_OPERANDS,
        n=bits(word, 0, 5),
        shift=word >> 31 << 5 | bits(word, 19, 5),
        immediate=signed(bits(word, 5, 14) << 2, 16),
    )


def _branch_register(word: int) -> Emulation:
    operand = (NO_OPERANDS, Operand.LINK, Operand.RETURN)[bits(word, 21, 2)]
    return Emulation(Operation.BRANCH_REGISTER, operand, n=bits(word, 5, 5))


def _load(word: int, offset: int) -> Emulation | None:
    """A load of one general register from [n + offset]; PRFM is none."""
    size, opcode, n = bits(word, 30, 2), bits(word, 22, 2), bits(word, 5, 5)
    if size == 3 and opcode == _PREFETCH:
        return Emulation(Operation.NOP)
    # No stores; SP: its alignment may be checked.
    if opcode == 0 or n == _SP or (opcode == _SIGNED_TO_32 and size > 1):
        return None
    operand = Operand.SIGNED if opcode >= _SIGNED_TO_64 else NO_OPERANDS
    if opcode == _SIGNED_TO_64 or size == 3:
        operand |= Operand.WIDE
    return Emulation(
        Operation.LOAD, operand, d=bits(word, 0, 5), n=n, a=1 << size, immediate=offset
    )


def _load_scaled(word: int) -> Emulation | None:
    return _load(word, bits(word, 10, 12) << bits(word, 30, 2))


def _load_unscaled(word: int) -> Emulation | None:
    return _load(word, signed(bits(word, 12, 9), 9))


def _read_sp_el0(word: int) -> Emulation:
    return Emulation(Operation.READ_SP_EL0, Operand.WIDE, d=bits(word, 0, 5))


DECODERS: Decoders = (
    (0xFFFF_F01F, 0xD503_201F, _hint),
    (0x7C00_0000, 0x1400_0000, _branch),
    (0xFF00_0010, 0x5400_0000, _branch_if),
    (0x7E00_0000, 0x3400_0000, _branch_zero),
    (0x7E00_0000, 0x3600_0000, _branch_bit),
    (0xFFFF_FC1F, 0xD61F_0000, _branch_register),
    (0xFFFF_FC1F, 0xD63F_0000, _branch_register),
    (0xFFFF_FC1F, 0xD65F_0000, _branch_register),
    (0xFF00_0000, 0xD800_0000, _prefetch),
    (0xFFE0_0C00, 0xF8A0_0800, _prefetch_register),
    (0x3F00_0000, 0x3900_0000, _load_scaled),
    (0x3F20_0C00, 0x3800_0000, _load_unscaled),
    (0xFFFF_FFE0, 0xD538_4100, _read_sp_el0),
)
