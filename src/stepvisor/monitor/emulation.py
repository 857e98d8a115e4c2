"""An instruction decoded, for a hypervisor that performs it instead of letting the guest run it."""

import enum
from dataclasses import dataclass

from stepvisor._gen import wire

__all__ = ("NO_OPERANDS", "Emulation", "Operand", "Operation")


class Operation(enum.IntEnum):
    """What is computed. Those of several instructions differ by :class:`Operand`."""

    NOP = wire.Operation.NOP
    MOVE = wire.Operation.MOVE
    """The immediate, whole."""
    INSERT = wire.Operation.INSERT
    """16 bits of the immediate, at `shift`; the others keep their values."""
    ADR = wire.Operation.ADR
    ADRP = wire.Operation.ADRP
    ADD = wire.Operation.ADD
    SUB = wire.Operation.SUB
    ADC = wire.Operation.ADC
    SBC = wire.Operation.SBC
    AND = wire.Operation.AND
    ORR = wire.Operation.ORR
    EOR = wire.Operation.EOR
    BITFIELD_UNSIGNED = wire.Operation.BITFIELD_UNSIGNED
    BITFIELD_SIGNED = wire.Operation.BITFIELD_SIGNED
    BITFIELD_INSERT = wire.Operation.BITFIELD_INSERT
    EXTRACT = wire.Operation.EXTRACT
    SELECT = wire.Operation.SELECT
    COMPARE = wire.Operation.COMPARE
    """Only if a condition holds; else NZCV becomes `shift`."""
    LSL = wire.Operation.LSL
    LSR = wire.Operation.LSR
    ASR = wire.Operation.ASR
    ROR = wire.Operation.ROR
    UDIV = wire.Operation.UDIV
    SDIV = wire.Operation.SDIV
    MADD = wire.Operation.MADD
    MSUB = wire.Operation.MSUB
    SMADDL = wire.Operation.SMADDL
    SMSUBL = wire.Operation.SMSUBL
    UMADDL = wire.Operation.UMADDL
    UMSUBL = wire.Operation.UMSUBL
    SMULH = wire.Operation.SMULH
    UMULH = wire.Operation.UMULH
    CLZ = wire.Operation.CLZ
    CLS = wire.Operation.CLS
    RBIT = wire.Operation.RBIT
    REV16 = wire.Operation.REV16
    REV32 = wire.Operation.REV32
    REV64 = wire.Operation.REV64
    BRANCH = wire.Operation.BRANCH
    BRANCH_IF = wire.Operation.BRANCH_IF
    BRANCH_ZERO = wire.Operation.BRANCH_ZERO
    BRANCH_BIT = wire.Operation.BRANCH_BIT
    BRANCH_REGISTER = wire.Operation.BRANCH_REGISTER
    LOAD = wire.Operation.LOAD
    READ_SP_EL0 = wire.Operation.READ_SP_EL0
    PACIASP = wire.Operation.PACIASP


class Operand(enum.IntFlag):
    """What an operation works on."""

    WIDE = wire.Operand.WIDE
    """64 bits, else 32."""
    IMMEDIATE = wire.Operand.IMMEDIATE
    """The second operand is the immediate, not register `m`."""
    SET_FLAGS = wire.Operand.SET_FLAGS
    INVERT = wire.Operand.INVERT
    """The second operand; a COMPARE adds instead of subtracting."""
    SP_N = wire.Operand.SP_N
    """Register 31 as `n` is the stack pointer."""
    SP_D = wire.Operand.SP_D
    LINK = wire.Operand.LINK
    """The address of the next instruction goes to x30."""
    SIGNED = wire.Operand.SIGNED
    EXTEND = wire.Operand.EXTEND
    """The second operand is extended, not shifted."""
    INCREMENT = wire.Operand.INCREMENT
    RETURN = wire.Operand.POST
    """Of BRANCH_REGISTER: a RET."""
    NONZERO = wire.Operand.NONZERO
    """Branch if the value, or the bit, is not zero."""


NO_OPERANDS = Operand(0)


@dataclass(frozen=True, slots=True)
class Emulation:
    """One instruction. Register 31 is zero where no operand flag says that it is SP."""

    operation: Operation
    operand: Operand = NO_OPERANDS
    d: int = 0
    """Register that is written."""
    n: int = 0
    m: int = 0
    a: int = 0
    """Third source register; a condition; bytes of a load."""
    shift: int = 0
    """Amount; number of a bit; NZCV."""
    immediate: int = 0
    """64 bits, two's complement."""
    shift_type: int = 0
    """0 LSL, 1 LSR, 2 ASR, 3 ROR; with EXTEND 0 UXTB to 7 SXTX."""
