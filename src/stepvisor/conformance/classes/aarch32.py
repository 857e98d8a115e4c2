"""User code in A32 and T32: conditions, IT blocks, branches between the two, what traps."""

from collections.abc import Callable, Sequence
from random import Random

from stepvisor.arch.aarch32 import InstructionSet, size
from stepvisor.conformance.aarch32 import EXITS, T32_LANDING
from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import a32, t32
from stepvisor.conformance.layout import FLAG_IRQ
from stepvisor.conformance.pattern import Instruction
from stepvisor.conformance.target import Interrupts, Trap

__all__ = ("AARCH32",)

A32, T32 = InstructionSet.A32, InstructionSet.T32

_STACK = 13
_POINTERS = {A32: (8, 9, _STACK), T32: (6, 7, _STACK)}
_INDEX = {A32: 10, T32: 5}
_PSTATE_I = 0x80
_IT = 0xBF00
_CONDITIONS = 14
"""Those that an instruction may have, but for "always"."""
_LANDINGS = 8

_TRAPS_A32 = (
    0x0F00_0001,  # svc #1
    0x0160_0070,  # smc #0
    0x0140_0070,  # hvc #0
    0x07F0_00F0,  # udf #0
    0x0E11_3E10,  # mrc p14, 0, r3, c1, c0, 0: DBGDRAR
    0x0E12_FE10,  # mrc p14, 0, apsr_nzcv, c2, c0, 0: DBGDSAR
    0x0C54_3E01,  # mrrc p14, 0, r3, r4, c1: DBGDRAR
    0x0E1F_3E1F,  # mrc p14, 0, r3, c15, c15, 0: no register
    0x0E1D_3F50,  # mrc p15, 0, r3, c13, c0, 2: TPIDRURW
    0x0320_F001,  # yield
    0x0320_F002,  # wfe
)
_ALWAYS_A32 = (
    0xE120_0070,  # bkpt #0
    0xE12F_FF7F,  # bkpt #0xffff
    0xF101_0200,  # setend be
    0xF102_0000,  # cps, which does nothing at EL0
    0xF57F_F04F,  # dsb
    0xF57F_F06F,  # isb
)
_TRAPS_T32 = (
    0xDF01,  # svc #1
    0xBE00,  # bkpt #0
    0xBEFF,  # bkpt #0xff
    0xDE00,  # udf #0
    0xF7F0_8000,  # smc #0
    0xBF10,  # yield
    0xBF20,  # wfe
    0xF3AF_8002,  # wfe.w
)
_OUTSIDE_T32 = (
    0xEE11_3E10,  # mrc p14, 0, r3, c1, c0, 0: DBGDRAR
    0xEE12_FE10,  # mrc p14, 0, apsr_nzcv, c2, c0, 0: DBGDSAR
    0xEC54_3E01,  # mrrc p14, 0, r3, r4, c1: DBGDRAR
    0xEE1D_3F50,  # mrc p15, 0, r3, c13, c0, 2: TPIDRURW
    0xB658,  # setend be
    0xF3BF_8F4F,  # dsb
    0xF3BF_8F6F,  # isb
)
_MIXED = {
    A32: (*a32.DATA, *a32.MEMORY),
    T32: (*t32.DATA, *t32.DATA_WIDE, *t32.MEMORY, *t32.MEMORY_WIDE),
}


def _begin(draft: Draft, instruction_set: InstructionSet) -> None:
    draft.use_aarch32(instruction_set)
    for register in _POINTERS[instruction_set]:
        draft.x[register] = draft.pointer()
    draft.x[_INDEX[instruction_set]] = draft.random.randrange(32)


def _plain(
    instruction_set: InstructionSet, instructions: Sequence[Instruction], count: int = 6
) -> Callable[[Draft], None]:
    def build(draft: Draft) -> None:
        _begin(draft, instruction_set)
        draft.draw(instructions, count)

    return build


def _block(draft: Draft, bodies: Sequence[int]) -> None:
    """An IT block of these instructions, with conditions that hold or do not."""
    random = draft.random
    last = 1 << (4 - len(bodies))
    mask = random.getrandbits(4) & ~(2 * last - 1) | last
    draft.add(_IT | random.randrange(_CONDITIONS) << 4 | mask)
    draft.add(*bodies)


def _blocks(draft: Draft) -> None:
    _begin(draft, T32)
    for _ in range(4):
        length = draft.random.randrange(1, 5)
        _block(draft, [draft.draw_one(_MIXED[T32]) for _ in range(length)])
        draft.draw(t32.DATA)


def _traps_a32(draft: Draft) -> None:
    """Whatever may trap, under a condition, between additions that show what came after it."""
    _begin(draft, A32)
    for _ in range(4):
        trap = draft.random.choice((*_TRAPS_A32, *_ALWAYS_A32))
        always = trap in _ALWAYS_A32
        draft.add(trap if always else trap | draft.random.randrange(_CONDITIONS + 1) << 28)
        draft.draw(_MIXED[A32])


def _traps_t32(draft: Draft) -> None:
    """The same in IT blocks and outside."""
    _begin(draft, T32)
    for _ in range(4):
        if draft.random.getrandbits(1):
            draft.add(draft.random.choice((*_TRAPS_T32, *_OUTSIDE_T32)))
        else:
            before = [draft.draw_one(t32.DATA) for _ in range(draft.random.randrange(3))]
            _block(draft, [*before, draft.random.choice(_TRAPS_T32)])
        draft.draw(_MIXED[T32])


def _interrupted(draft: Draft) -> None:
    """An interrupt is pending when it begins."""
    instruction_set = draft.random.choice((A32, T32))
    _begin(draft, instruction_set)
    draft.flags |= FLAG_IRQ
    draft.pstate &= ~_PSTATE_I
    if instruction_set is T32:
        _block(draft, [draft.draw_one(t32.DATA) for _ in range(4)])
    draft.draw(_MIXED[instruction_set], 4)


def _branch_a32(random: Random, words: int) -> int:
    """To a place that many words from its own, with a condition, or one without and to T32."""
    distance = words - 2 & 0xFF_FFFF
    condition = random.randrange(_CONDITIONS + 1) << 28
    to_thumb = 0xFA00_0000 | random.getrandbits(1) << 24
    return random.choice((condition | 0x0A00_0000, condition | 0x0B00_0000, to_thumb)) | distance


def _branches_a32(draft: Draft) -> None:
    """Every other place is T32."""
    random = draft.random
    draft.use_aarch32(A32)
    draft.add(*[EXITS[A32]] * _LANDINGS)
    source, target = random.randrange(2, _LANDINGS - 2), random.randrange(_LANDINGS - 1)
    target += target >= source
    draft.entry = source
    if random.getrandbits(1):
        word = _branch_a32(random, target - source)
        thumb = word >> 25 == 0x7D
    else:
        thumb = bool(random.getrandbits(1))
        draft.x[4] = draft.address(target) | thumb
        word = random.choice((0x012F_FF14, 0x012F_FF34))  # bx r4, blx r4
        word |= random.randrange(_CONDITIONS + 1) << 28
    draft.words[source] = word
    if thumb:
        draft.words[target] = T32_LANDING


def _branch_t32(random: Random, halves: int) -> int:
    """To a place that many halfwords from the next but one, or further for a wide one."""
    far = halves & 0x7FF
    return random.choice(
        (
            0xE000 | far,
            0xD000 | random.randrange(_CONDITIONS) << 8 | halves & 0xFF,
            *([0xB100 | random.getrandbits(1) << 11 | halves << 3 | 3] if halves >= 0 else []),
            0xF000_B800 | (halves < 0) * 0x0400_0000 | (halves >> 11 & 0x3FF) << 16 | far,
            0xF000_F800 | (halves < 0) * 0x0400_0000 | (halves >> 11 & 0x3FF) << 16 | far,
        )
    )


def _branches_t32(draft: Draft) -> None:
    random = draft.random
    draft.use_aarch32(T32)
    before, behind = random.randrange(2, 6), 8
    draft.add(*[EXITS[T32]] * before)
    draft.entry = before
    distance = random.choice((*range(-before - 2, -2), *range(behind - 3)))
    draft.x[4] = (draft.address(before) + 4 + 2 * distance) | 1
    choices = (_branch_t32(random, distance), _branch_t32(random, distance), 0x4720, 0x47A0)
    word = random.choice(choices)
    if size(T32, word) == 2 and distance == -1:
        word = 0x4720  # bx r4
    draft.add(word, *[EXITS[T32]] * behind)


def _class(
    name: str, build: Callable[[Draft], None], *, linear: bool = True, share: float = 1.0
) -> CaseClass:
    return CaseClass(
        name,
        build,
        Feature.AARCH32,
        linear=linear,
        least=8,
        share=share,
        interrupts=(Interrupts.STEP,),
        probed=Trap.BREAKPOINT,
    )


AARCH32 = (
    _class("a32-data", _plain(A32, a32.DATA)),
    _class("a32-memory", _plain(A32, a32.MEMORY)),
    _class("a32-branch", _branches_a32, linear=False),
    _class("a32-trap", _traps_a32),
    _class("t32-data", _plain(T32, (*t32.DATA, *t32.DATA_WIDE))),
    _class("t32-memory", _plain(T32, (*t32.MEMORY, *t32.MEMORY_WIDE))),
    _class("t32-it-block", _blocks),
    _class("t32-branch", _branches_t32, linear=False),
    _class("t32-trap", _traps_t32),
    _class("aarch32-interrupt", _interrupted, share=0.5),
)
