"""Data processing with registers, as operations that a monitor performs.

Source: Arm Architecture Reference Manual, "A64 instruction set encoding", "Data Processing --
Register".
"""

from stepvisor.monitor.emulation import NO_OPERANDS, Emulation, Operand, Operation
from stepvisor.probe.fields import Decoders, bits

__all__ = ("DECODERS",)

_SP = _ZERO = 31
_LARGEST_EXTEND_SHIFT = 4

_LOGICAL = (Operation.AND, Operation.ORR, Operation.EOR, Operation.AND)

_TWO_SOURCES = {
    2: Operation.UDIV,
    3: Operation.SDIV,
    8: Operation.LSL,
    9: Operation.LSR,
    10: Operation.ASR,
    11: Operation.ROR,
}

_ONE_SOURCE = (
    Operation.RBIT,
    Operation.REV16,
    Operation.REV32,
    Operation.REV64,
    Operation.CLZ,
    Operation.CLS,
)
"""By opcode. REV of a W register is REV32."""

_THREE_SOURCES = {
    (0, 0): Operation.MADD,
    (0, 1): Operation.MSUB,
    (1, 0): Operation.SMADDL,
    (1, 1): Operation.SMSUBL,
    (2, 0): Operation.SMULH,
    (5, 0): Operation.UMADDL,
    (5, 1): Operation.UMSUBL,
    (6, 0): Operation.UMULH,
}
"""By op31 and o0."""
_HIGH_PRODUCTS = frozenset({Operation.SMULH, Operation.UMULH})


def _wide(word: int) -> Operand:
    return Operand.WIDE if word >> 31 else NO_OPERANDS


def _shift_is_too_far(word: int) -> bool:
    return not word >> 31 and bits(word, 10, 6) > 31


def _logical(word: int) -> Emulation | None:
    if _shift_is_too_far(word):
        return None
    operand = _wide(word)
    opcode = bits(word, 29, 2)
    if bits(word, 21, 1):
        operand |= Operand.INVERT
    if opcode == 3:
        operand |= Operand.SET_FLAGS
    return Emulation(
        _LOGICAL[opcode],
        operand,
        d=bits(word, 0, 5),
        n=bits(word, 5, 5),
        m=bits(word, 16, 5),
        shift=bits(word, 10, 6),
        shift_type=bits(word, 22, 2),
    )


def _sum_or_difference(word: int) -> Operation:
    return Operation.SUB if bits(word, 30, 1) else Operation.ADD


def _add_subtract_shifted(word: int) -> Emulation | None:
    if _shift_is_too_far(word) or bits(word, 22, 2) == 3:
        return None
    operand = _wide(word)
    if bits(word, 29, 1):
        operand |= Operand.SET_FLAGS
    return Emulation(
        _sum_or_difference(word),
        operand,
        d=bits(word, 0, 5),
        n=bits(word, 5, 5),
        m=bits(word, 16, 5),
        shift=bits(word, 10, 6),
        shift_type=bits(word, 22, 2),
    )


def _add_subtract_extended(word: int) -> Emulation | None:
    d, n, shift = bits(word, 0, 5), bits(word, 5, 5), bits(word, 10, 3)
    if shift > _LARGEST_EXTEND_SHIFT:
        return None
    operand = _wide(word) | Operand.EXTEND
    if n == _SP:
        operand |= Operand.SP_N
    if bits(word, 29, 1):
        operand |= Operand.SET_FLAGS
    elif d == _SP:
        operand |= Operand.SP_D
    return Emulation(
        _sum_or_difference(word),
        operand,
        d=d,
        n=n,
        m=bits(word, 16, 5),
        shift=shift,
        shift_type=bits(word, 13, 3),
    )


def _with_carry(word: int) -> Emulation:
    operand = _wide(word)
    if bits(word, 29, 1):
        operand |= Operand.SET_FLAGS
    return Emulation(
        Operation.SBC if bits(word, 30, 1) else Operation.ADC,
        operand,
        d=bits(word, 0, 5),
        n=bits(word, 5, 5),
        m=bits(word, 16, 5),
    )


def _compare(word: int) -> Emulation:
    """CCMP and CCMN."""
    operand = _wide(word)
    immediate = m = 0
    if not bits(word, 30, 1):
        operand |= Operand.INVERT
    if bits(word, 11, 1):
        operand |= Operand.IMMEDIATE
        immediate = bits(word, 16, 5)
    else:
        m = bits(word, 16, 5)
    return Emulation(
        Operation.COMPARE,
        operand,
        n=bits(word, 5, 5),
        m=m,
        a=bits(word, 12, 4),
        shift=bits(word, 0, 4),
        immediate=immediate,
    )


def _select(word: int) -> Emulation:
    """CSEL, CSINC, CSINV, CSNEG."""
    operand = _wide(word)
    if bits(word, 30, 1):
        operand |= Operand.INVERT
    if bits(word, 10, 1):
        operand |= Operand.INCREMENT
    return Emulation(
        Operation.SELECT,
        operand,
        d=bits(word, 0, 5),
        n=bits(word, 5, 5),
        m=bits(word, 16, 5),
        a=bits(word, 12, 4),
    )


def _one_source(word: int) -> Emulation | None:
    opcode = bits(word, 10, 6)
    if opcode >= len(_ONE_SOURCE):
        return None
    operation = _ONE_SOURCE[opcode]
    if operation is Operation.REV64 and not word >> 31:
        return None
    return Emulation(operation, _wide(word), d=bits(word, 0, 5), n=bits(word, 5, 5))


def _two_sources(word: int) -> Emulation | None:
    operation = _TWO_SOURCES.get(bits(word, 10, 6))
    if operation is None:
        return None
    return Emulation(
        operation, _wide(word), d=bits(word, 0, 5), n=bits(word, 5, 5), m=bits(word, 16, 5)
    )


def _three_sources(word: int) -> Emulation | None:
    operation = _THREE_SOURCES.get((bits(word, 21, 3), bits(word, 15, 1)))
    if operation is None or (bits(word, 21, 3) and not word >> 31):
        return None
    a = bits(word, 10, 5)
    if operation in _HIGH_PRODUCTS and a != _ZERO:
        return None
    return Emulation(
        operation, _wide(word), d=bits(word, 0, 5), n=bits(word, 5, 5), m=bits(word, 16, 5), a=a
    )


DECODERS: Decoders = (
    (0x1F00_0000, 0x0A00_0000, _logical),
    (0x1F20_0000, 0x0B00_0000, _add_subtract_shifted),
    (0x1FE0_0000, 0x0B20_0000, _add_subtract_extended),
    (0x1FE0_FC00, 0x1A00_0000, _with_carry),
    (0x3FE0_0410, 0x3A40_0000, _compare),
    (0x3FE0_0800, 0x1A80_0000, _select),
    (0x7FE0_0000, 0x1AC0_0000, _two_sources),
    (0x7FFF_0000, 0x5AC0_0000, _one_source),
    (0x7F00_0000, 0x1B00_0000, _three_sources),
)
