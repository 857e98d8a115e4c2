"""As much of A64 as planning a probe needs: where an instruction may lead.

Source of the encodings: Arm Architecture Reference Manual, "A64 instruction set encoding":
"Branches, Exception Generating and System instructions".
"""

from enum import Enum

from stepvisor._gen.encodings import A64_LOAD_EXCLUSIVE, A64_STORE_EXCLUSIVE

__all__ = ("Flow", "classify", "is_load_exclusive", "is_store_exclusive")

WORD_SIZE = 4


class Flow(Enum):
    """Where the next instruction comes from, exceptions aside."""

    LINEAR = "the next word"
    IMMEDIATE = "the next word or a target in the instruction"
    REGISTER = "a register"
    TRAP = "an exception level change or a wait"


# (mask, value, flow), first match wins.
_TABLE = (
    (0x7C00_0000, 0x1400_0000, Flow.IMMEDIATE),  # B, BL
    (0xFF00_0000, 0x5400_0000, Flow.IMMEDIATE),  # B.cond, BC.cond
    (0x7E00_0000, 0x3400_0000, Flow.IMMEDIATE),  # CBZ, CBNZ
    (0x7E00_0000, 0x3600_0000, Flow.IMMEDIATE),  # TBZ, TBNZ
    (0x7E00_0000, 0x7400_0000, Flow.TRAP),  # FEAT_CMPBR, not yet understood by the monitor
    (0xFF00_0000, 0x5500_0000, Flow.TRAP),  # RETAASPPC and RETABSPPC, likewise
    (0xFF00_0000, 0xD400_0000, Flow.TRAP),  # SVC, HVC, SMC, BRK, HLT, TCANCEL, DCPS
    (0xFFE0_0000, 0xD680_0000, Flow.TRAP),  # ERET, ERETAA, ERETAB
    (0xFFE0_0000, 0xD6A0_0000, Flow.TRAP),  # DRPS
    (0xFE00_0000, 0xD600_0000, Flow.REGISTER),  # BR, BLR, RET and their authenticated forms
    (0xFFFF_FFDF, 0xD503_205F, Flow.TRAP),  # WFE, WFI
    (0xFFFF_FFC0, 0xD503_1000, Flow.TRAP),  # WFET, WFIT
)


def classify(word: int) -> Flow:
    """Where instruction `word` leads."""
    for mask, value, flow in _TABLE:
        if word & mask == value:
            return flow
    return Flow.LINEAR


def is_load_exclusive(word: int) -> bool:
    """LDXR, LDAXR, LDXP, LDAXP and their byte and halfword forms."""
    return any(word & mask == value for mask, value in A64_LOAD_EXCLUSIVE)


def is_store_exclusive(word: int) -> bool:
    """STXR, STLXR, STXP, STLXP and their byte and halfword forms."""
    return any(word & mask == value for mask, value in A64_STORE_EXCLUSIVE)
