"""Cases in A32 and T32: how their instructions lie in a CASE, and in memory."""

from collections.abc import Iterator, Sequence

import numpy as np

from stepvisor.arch.aarch32 import InstructionSet, size

__all__ = ("EXITS", "NRW", "T32_LANDING", "THUMB", "instructions", "pack", "set_of")

NRW = 1 << 4
"""PSTATE.nRW: AArch32."""
THUMB = 1 << 5
"""PSTATE.T."""

EXITS = {
    InstructionSet.A64: 0xD400_0001 | 0x5E << 5,
    InstructionSet.A32: 0xEF00_005E,
    InstructionSet.T32: 0xDF5E,
}
"""SVC #0x5e: what ends a case."""

T32_LANDING = EXITS[InstructionSet.T32] << 16 | EXITS[InstructionSet.T32]
"""Two exits of T32 in the code of an A32 case, where a branch changes the state."""

_HALF = 2
_WORD = 4


def set_of(pstate: int) -> InstructionSet:
    """In which state a case begins."""
    if not pstate & NRW:
        return InstructionSet.A64
    return InstructionSet.T32 if pstate & THUMB else InstructionSet.A32


def pack(words: Sequence[int], instruction_set: InstructionSet) -> list[int]:
    """Instructions as words in memory; an odd number of halfwords is filled up with an exit."""
    if instruction_set is not InstructionSet.T32:
        return list(words)
    halves: list[int] = []
    for word in words:
        short = size(instruction_set, word) == _HALF
        halves += [word] if short else [word >> 16, word & 0xFFFF]
    if len(halves) % 2:
        halves.append(EXITS[instruction_set])
    return [low | high << 16 for low, high in zip(halves[::2], halves[1::2], strict=True)]


def instructions(case: np.void) -> Iterator[tuple[int, int]]:
    """Bytes from the start of a CASE's code, and the instruction there."""
    words = case["words"][: int(case["count"])].tolist()
    if set_of(int(case["start"]["pstate"])) is not InstructionSet.T32:
        yield from ((_WORD * index, word) for index, word in enumerate(words))
        return
    halves = np.array(words, "<u4").view("<u2").tolist()
    index = 0
    while index < len(halves):
        long = halves[index] >= 0xE800 and index + 1 < len(halves)
        word = halves[index] << 16 | halves[index + 1] if long else halves[index]
        yield _HALF * index, word
        index += 2 if long else 1
