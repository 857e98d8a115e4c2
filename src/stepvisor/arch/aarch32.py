"""A32 and T32 instructions: their sizes, the calls and branches among them.

A T32 instruction of 32 bits has its first halfword in the upper half of the word, as the manual
writes it; one of 16 bits is below 0x10000.

Sources of the encodings: Arm Architecture Reference Manual, "A32 instruction set encoding" and "T32
instruction set encoding"; of the If-Then state: "Process state, PSTATE", AArch32.
"""

from stepvisor._gen.wire import InstructionSet

__all__ = (
    "IT_OUTSIDE",
    "InstructionSet",
    "if_then",
    "is_call",
    "is_direct_branch",
    "size",
)

IT_OUTSIDE = 0
"""If-Then state of an instruction that is in no IT block."""

_ARM_CALLS = (
    (0x0F00_0000, 0x0B00_0000),  # BL; BLX (immediate) with H
    (0xFF00_0000, 0xFA00_0000),  # BLX (immediate)
    (0x0FFF_FFF0, 0x012F_FF30),  # BLX (register)
)
_THUMB_CALLS = (
    (0xF800_D000, 0xF000_D000),  # BL
    (0xF800_D001, 0xF000_C000),  # BLX (immediate)
    (0xFFFF_FF87, 0x0000_4780),  # BLX (register)
)
_ARM_BRANCHES = ((0x0F00_0000, 0x0A00_0000),)
_THUMB_BRANCHES = (
    (0xFFFF_F800, 0x0000_E000),  # B
    (0xFFFF_F000, 0x0000_D000),  # B<c>
    (0xFFFF_F500, 0x0000_B100),  # CBZ, CBNZ
    *((0xFBC0_D000, 0xF000_8000 | condition << 22) for condition in range(14)),  # B<c>.W
    (0xF800_D000, 0xF000_9000),  # B.W
)


def size(instruction_set: InstructionSet, word: int) -> int:
    """Bytes of an instruction."""
    return 2 if instruction_set is InstructionSet.T32 and word < 0x10000 else 4


def is_call(instruction_set: InstructionSet, word: int) -> bool:
    """BL and BLX."""
    calls = _THUMB_CALLS if instruction_set is InstructionSet.T32 else _ARM_CALLS
    return _matches(word, calls)


def is_direct_branch(instruction_set: InstructionSet, word: int) -> bool:
    """A branch to a place that the instruction names, and no call."""
    branches = _THUMB_BRANCHES if instruction_set is InstructionSet.T32 else _ARM_BRANCHES
    return _matches(word, branches) and not is_call(instruction_set, word)


def if_then(pstate: int) -> int:
    """The If-Then state in a PSTATE of AArch32; IT_OUTSIDE in one of AArch64."""
    return (pstate >> 8 & 0xFC | pstate >> 25 & 3) if pstate & 0x10 else IT_OUTSIDE


def _matches(word: int, forms: tuple[tuple[int, int], ...]) -> bool:
    return any(word & mask == value for mask, value in forms)
