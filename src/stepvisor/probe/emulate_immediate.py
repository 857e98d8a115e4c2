"""Data processing with an immediate, as operations that a monitor performs.

Source: Arm Architecture Reference Manual, "A64 instruction set encoding", "Data Processing --
Immediate", and the shared pseudocode function DecodeBitMasks.
"""

from stepvisor.monitor.emulation import NO_OPERANDS, Emulation, Operand, Operation
from stepvisor.probe.fields import Decoders, bits, ones, signed

__all__ = ("DECODERS", "bit_mask")

_SP = 31
_LOGICAL = (Operation.AND, Operation.ORR, Operation.EOR, Operation.AND)
_BITFIELD = (
    Operation.BITFIELD_SIGNED,
    Operation.BITFIELD_INSERT,
    Operation.BITFIELD_UNSIGNED,
)


def _wide(word: int) -> Operand:
    return Operand.WIDE if word >> 31 else NO_OPERANDS


def _address(word: int) -> Emulation:
    offset = signed(bits(word, 5, 19) << 2 | bits(word, 29, 2), 21)
    if word >> 31:
        return Emulation(
            Operation.ADRP, Operand.WIDE, d=bits(word, 0, 5), immediate=offset << 12 & ones(64)
        )
    return Emulation(Operation.ADR, Operand.WIDE, d=bits(word, 0, 5), immediate=offset)


def _add_subtract(word: int) -> Emulation:
    operand = _wide(word) | Operand.IMMEDIATE
    d, n = bits(word, 0, 5), bits(word, 5, 5)
    if n == _SP:
        operand |= Operand.SP_N
    if bits(word, 29, 1):
        operand |= Operand.SET_FLAGS
    elif d == _SP:
        operand |= Operand.SP_D
    return Emulation(
        Operation.SUB if bits(word, 30, 1) else Operation.ADD,
        operand,
        d=d,
        n=n,
        immediate=bits(word, 10, 12) << (12 * bits(word, 22, 1)),
    )


def bit_mask(size: int, n: int, immr: int, imms: int) -> int | None:
    """The immediate of a logical instruction of `size` bits; None for a reserved encoding."""
    element_bits = (n << 6 | (~imms & 0x3F)).bit_length() - 1
    if element_bits < 1 or 1 << element_bits > size:
        return None
    element = 1 << element_bits
    last, rotate = imms & (element - 1), immr & (element - 1)
    if last == element - 1:
        return None
    run = ones(last + 1)
    turned = (run >> rotate | run << (element - rotate)) & ones(element)
    return sum(turned << place for place in range(0, size, element))


def _logical(word: int) -> Emulation | None:
    operand = _wide(word) | Operand.IMMEDIATE
    size = 64 if word >> 31 else 32
    immediate = bit_mask(size, bits(word, 22, 1), bits(word, 16, 6), bits(word, 10, 6))
    if immediate is None:
        return None
    d, opcode = bits(word, 0, 5), bits(word, 29, 2)
    if opcode == 3:
        operand |= Operand.SET_FLAGS
    elif d == _SP:
        operand |= Operand.SP_D
    return Emulation(_LOGICAL[opcode], operand, d=d, n=bits(word, 5, 5), immediate=immediate)


def _move(word: int) -> Emulation | None:
    opcode, half = bits(word, 29, 2), bits(word, 21, 2)
    if opcode == 1 or (half > 1 and not word >> 31):
        return None
    d, value = bits(word, 0, 5), bits(word, 5, 16)
    if opcode == 3:
        return Emulation(Operation.INSERT, _wide(word), d=d, shift=16 * half, immediate=value)
    value <<= 16 * half
    whole = value if opcode else ~value & ones(64)
    return Emulation(Operation.MOVE, _wide(word), d=d, immediate=whole)


def _bitfield(word: int) -> Emulation | None:
    opcode, rotate, last = bits(word, 29, 2), bits(word, 16, 6), bits(word, 10, 6)
    narrow = not word >> 31
    if opcode == 3 or bits(word, 22, 1) == narrow or (narrow and (rotate | last) > 31):
        return None
    return Emulation(
        _BITFIELD[opcode],
        _wide(word),
        d=bits(word, 0, 5),
        n=bits(word, 5, 5),
        immediate=rotate | last << 8,
    )


def _extract(word: int) -> Emulation | None:
    narrow = not word >> 31
    shift = bits(word, 10, 6)
    if bits(word, 22, 1) == narrow or (narrow and shift > 31):
        return None
    return Emulation(
        Operation.EXTRACT,
        _wide(word),
        d=bits(word, 0, 5),
        n=bits(word, 5, 5),
        m=bits(word, 16, 5),
        shift=shift,
    )


DECODERS: Decoders = (
    (0x1F00_0000, 0x1000_0000, _address),
    (0x1F80_0000, 0x1100_0000, _add_subtract),
    (0x1F80_0000, 0x1200_0000, _logical),
    (0x1F80_0000, 0x1280_0000, _move),
    (0x1F80_0000, 0x1300_0000, _bitfield),
    (0x7FA0_0000, 0x1380_0000, _extract),
)
