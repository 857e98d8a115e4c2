"""One case while it is made up: instructions and the state they start from."""

from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from stepvisor.arch.aarch32 import InstructionSet, size
from stepvisor.conformance.aarch32 import EXITS, NRW, THUMB, pack
from stepvisor.conformance.features import Feature
from stepvisor.conformance.layout import (
    ARENA,
    ARENA_SCRATCH_AARCH32,
    BATCH_OFFSET,
    BATCH_STRIDE,
    MAX_WORDS,
    PAGE,
    SCRATCH_SIZE,
    STATE,
    USER_ALIAS,
    Descriptor,
)
from stepvisor.conformance.pattern import Instruction, Registers

__all__ = ("EL0T", "EL1H", "EL1T", "EXIT", "FLAGS_MASK", "MASKED", "Draft")

MASKED = 0x3C0
"""PSTATE.D, A, I and F."""
EL0T, EL1T, EL1H = 0, 4, 5
FLAGS_MASK = 0xF000_0000
"""PSTATE.N, Z, C and V."""

EXIT = EXITS[InstructionSet.A64]
"""SVC #0x5e: what ends a case."""

_WORD = 4
_INTERESTING = (
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    0x7F,
    0x80,
    0xFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    0xFFFF_FFFF_FFFF_FFFF,
    0x5555_5555_5555_5555,
)
_INTERESTING_FLOATS = (
    0x0000_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x7FF0_0000_0000_0000,
    0xFFF0_0000_0000_0000,
    0x7FF8_0000_0000_0000,
    0x7FF0_0000_0000_0001,
    0x3FF0_0000_0000_0000,
    0x0000_0000_0000_0001,
    0x4340_0000_0000_0000,
    0x3F80_0000_7F80_0000,
    0x7FC0_0000_7F80_0001,
    0xFF80_0000_0000_0001,
    0x3C00_7C00_FC01_0001,
)
_FPCR_CHOICES = (0, 0, 0x0040_0000, 0x0080_0000, 0x00C0_0000, 0x0100_0000, 0x0200_0000, 0x0300_0000)
"""Rounding modes, flush to zero, default NaN."""


class Draft:
    """Random registers and memory to begin with; whoever makes the case adds instructions."""

    def __init__(
        self, random: Random, guest: Descriptor, features: Feature, place: int | None = None
    ) -> None:
        """At EL1 with the stack pointer of EL1, everything masked, until it is told otherwise.

        With `place` its code goes to that one of the places of a batch, else to where one case at
        a time is run.
        """
        self.random = random
        self.guest = guest
        self.features = features
        self.words: list[int] = []
        self.registers = Registers()
        self.mode = EL1H
        self.instruction_set = InstructionSet.A64
        self.pstate = MASKED | random.getrandbits(4) << 28
        self.code = guest.code
        self.x = _numbers(random, 31, _INTERESTING)
        self.q = _numbers(random, 64, _INTERESTING_FLOATS)
        self.sp_el0, self.sp_el1 = (random.getrandbits(64) for _ in range(2))
        self.fpcr = random.choice(_FPCR_CHOICES)
        self.offset = _offset(random, place)
        self.entry = 0
        self.flags = 0
        self.mdscr = 0
        self.breakpoints = [(0, 0), (0, 0)]
        self.watchpoint = (0, 0)

    @property
    def alias(self) -> int:
        """What this level adds to addresses of memory."""
        return USER_ALIAS if self.mode == EL0T else 0

    def address(self, index: int) -> int:
        """Of instruction number `index`, where it is run."""
        there = self.words[:index]
        before = sum(size(self.instruction_set, word) for word in there)
        # What is still to come has four bytes each, where that can be known: not in T32.
        before += _WORD * (index - len(there))
        return self.code + self.alias + self.offset + before

    @property
    def here(self) -> int:
        """Index of the next instruction."""
        return len(self.words)

    def scratch(self, offset: int = 0) -> int:
        """Address in the scratch memory for this level."""
        if self.instruction_set is not InstructionSet.A64:
            return ARENA + ARENA_SCRATCH_AARCH32 * PAGE + offset
        return self.guest.scratch + self.alias + offset

    def pointer(self) -> int:
        """Somewhere in the middle of the scratch memory, 16-byte aligned."""
        return self.scratch(SCRATCH_SIZE // 2 + 16 * self.random.randrange(-16, 16))

    def at_el0(self, chance: float = 1.0) -> None:
        """Maybe run at EL0."""
        if self.random.random() < chance:
            self.mode = EL0T

    def use_aarch32(self, instruction_set: InstructionSet) -> None:
        """Run at EL0 in AArch32, with numbers of 32 bits in all registers."""
        self.mode = EL0T
        self.instruction_set = instruction_set
        thumb = instruction_set is InstructionSet.T32
        # Nothing but flags: in place of PSTATE.D there is E.
        self.pstate = self.pstate & FLAGS_MASK | MASKED & ~0x200 | NRW | THUMB * thumb
        self.x = self.x & np.uint64(0xFFFF_FFFF)

    def use_pointers(self, pointers: int = 4, indexes: int = 2, alias: int = 0) -> Registers:
        """Set registers aside that point to memory, and small numbers to add to them."""
        self.registers = Registers.choose(self.random, pointers, indexes)
        for register in self.registers.pointers:
            self.set(register, self.pointer() + alias)
        for register in self.registers.indexes:
            self.set(register, self.random.randrange(32))
        return self.registers

    def set(self, register: int, value: int) -> None:
        """Initial value of a general register; 31 is the stack pointer of the level it runs at."""
        if register < 31:
            self.x[register] = value
        elif self.mode == EL1H:
            self.sp_el1 = value
        else:
            self.sp_el0 = value

    def add(self, *words: int) -> None:
        """More instructions."""
        self.words += words

    def draw(self, instructions: Sequence[Instruction], count: int = 1) -> None:
        """Random ones of those that this CPU has."""
        for _ in range(count):
            self.add(self.draw_one(instructions))

    def draw_one(self, instructions: Sequence[Instruction]) -> int:
        """A random one of those that this CPU has, not added."""
        instruction = self.random.choice(instructions)
        while instruction.needs not in self.features:
            instruction = self.random.choice(instructions)
        return instruction.draw(self.random, self.registers)

    def load(self, register: int, value: int) -> None:
        """Instructions that put a number into a register, where its initial value may not last."""
        for part in range(4):
            opcode = 0xF280_0000 if part else 0xD280_0000  # MOVK, MOVZ
            self.add(opcode | part << 21 | (value >> 16 * part & 0xFFFF) << 5 | register)

    def free_register(self, *others: int) -> int:
        """A general register that may be written, and is none of these."""
        return self.random.choice([r for r in self.registers.written if r < 31 and r not in others])

    def store(self, record: NDArray[np.void] | np.void) -> None:
        """Into a CASE, one element, that is zero."""
        words = pack([*self.words, EXITS[self.instruction_set]], self.instruction_set)
        assert len(words) <= MAX_WORDS, "the case is too long"
        record["count"] = len(words)
        record["offset"] = self.offset
        record["flags"] = self.flags
        record["entry"] = self.entry
        record["seed"] = self.random.getrandbits(64)
        record["mdscr"] = self.mdscr
        record["breakpoint"] = self.breakpoints
        record["watchpoint"] = self.watchpoint
        record["words"][: len(words)] = words
        self._store_state(record["start"])

    def _store_state(self, state: NDArray[np.void] | np.void) -> None:
        assert STATE.names is not None
        state["x"] = self.x
        state["q"] = self.q
        state["pc"] = self.address(self.entry)
        state["pstate"] = self.pstate | self.mode
        state["sp_el0"] = self.sp_el0
        state["sp_el1"] = self.sp_el1
        state["tpidr_el0"] = self.random.getrandbits(64)
        state["fpcr"] = self.fpcr


def _offset(random: Random, place: int | None) -> int:
    """Of the code of a case in the code buffer, with room for the longest."""
    if place is None:
        return _WORD * random.randrange(0x10, BATCH_OFFSET // _WORD - MAX_WORDS)
    start = BATCH_OFFSET + place * BATCH_STRIDE
    return start + _WORD * random.randrange(BATCH_STRIDE // _WORD - MAX_WORDS)


def _numbers(random: Random, count: int, interesting: Sequence[int]) -> NDArray[np.uint64]:
    """Random bits, or one of those that instructions care about."""
    numbers = np.frombuffer(random.randbytes(8 * count), np.uint64).copy()
    for _ in range(count // 3):
        numbers[random.randrange(count)] = random.choice(interesting)
    return numbers
