"""Exclusive sequences: LDXR to STXR with whatever may stand between and every way out of them.

A sequence may fail for reasons of its own, so each has a loop around it, and what stands inside
leaves the same after two rounds as after one.
"""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import EXIT, Draft
from stepvisor.conformance.instructions import integer
from stepvisor.conformance.layout import (
    ARENA,
    ARENA_FAR,
    ARENA_INVALID,
    ARENA_NO_ACCESS_FLAG,
    ARENA_READ_ONLY,
    ARENA_USER_READ_ONLY,
    PAGE,
)

__all__ = ("EXCLUSIVES",)

_LDXR, _STXR = 0x085F_7C00, 0x0800_7C00
_LDXP, _STXP = 0x887F_0000, 0x8820_0000
_ORDERED = 1 << 15
_CLREX, _NOP, _WFE, _SEVL, _RET = 0xD503_3F5F, 0xD503_201F, 0xD503_205F, 0xD503_20BF, 0xD65F_03C0
_LINK = 30
_CBNZ_W = 0x3500_0000
_B = 0x1400_0000
_PAGES = (ARENA_READ_ONLY, ARENA_USER_READ_ONLY, ARENA_INVALID, ARENA_NO_ACCESS_FLAG, ARENA_FAR)
_CMP_X = 0xEB00_001F
_PLAIN = (0x8B00_0000, 0x4B00_0000, 0x8A00_0000, 0xCA00_0000, 0x9B00_7C00, 0x9AC0_2000, 0x9A80_0000)
"""ADD, SUB, AND, EOR, MUL, LSLV, CSEL eq: the flags are left alone."""


class _Sequence:
    """The registers of one sequence, and its two ends."""

    def __init__(self, draft: Draft) -> None:
        """Any size, ordered or not, of one register or two."""
        self.draft = draft
        random = draft.random
        registers = draft.use_pointers(3)
        self.base = random.choice(registers.pointers)
        free = [r for r in registers.written if r < 31]
        self.loaded, self.second, self.status, self.value = random.sample(free, 4)
        self.pair = random.random() < 0.25
        self.size = random.choice((2, 3)) if self.pair else random.randrange(4)
        # What the sequence itself uses must survive what is put between, and so must the
        # operands of that.
        kept = {self.status, self.value, self.loaded, self.second}
        rest = [r for r in free if r not in kept]
        self.operands = random.sample(rest, 8)
        self.results = tuple(r for r in rest if r not in self.operands)
        draft.registers = draft.registers.__class__(written=self.results)

    def load(self) -> int:
        """LDXR, LDAXR, LDXP or LDAXP."""
        ordered = _ORDERED * self.draft.random.getrandbits(1)
        word = _LDXP | 31 << 16 | self.second << 10 if self.pair else _LDXR
        return word | self.size << 30 | ordered | self.base << 5 | self.loaded

    def store(self) -> int:
        """STXR and so on."""
        ordered = _ORDERED * self.draft.random.getrandbits(1)
        word = _STXP | self.second << 10 if self.pair else _STXR
        word |= self.size << 30 | ordered | self.status << 16 | self.base << 5
        return word | self.value

    def between(self, most: int = 4) -> list[int]:
        """Some plain instructions, whose results are no operands of theirs."""
        random = self.draft.random
        return [
            random.choice(_PLAIN)
            | random.choice(self.operands) << 16
            | random.choice(self.operands) << 5
            | random.choice(self.results)
            for _ in range(random.randrange(most))
        ]

    def retry(self, words: list[int]) -> int:
        """CBNZ status, back to the first of `words`, from right behind them."""
        return _CBNZ_W | (-len(words) & 0x7_FFFF) << 5 | self.status


def _loop(draft: Draft) -> None:
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    words = [sequence.load(), *sequence.between(12), sequence.store()]
    draft.add(*words, sequence.retry(words))
    draft.draw(integer.REGISTER[:4], 2)


def _leaving(draft: Draft, distance: int, sequence: _Sequence) -> int:
    """A conditional branch that depends on what was loaded, or on the flags."""
    random = draft.random
    register = random.choice((sequence.loaded, sequence.value))
    far = (distance & 0x7_FFFF) << 5
    bit = random.getrandbits(5)
    return random.choice(
        (
            0x5400_0000 | far | random.getrandbits(4),  # B.cond
            0xB400_0000 | far | register,  # CBZ
            0xB500_0000 | far | register,  # CBNZ
            0x3600_0000 | bit << 19 | (distance & 0x3FFF) << 5 | register,  # TBZ
            0x3700_0000 | bit << 19 | (distance & 0x3FFF) << 5 | register,  # TBNZ
        )
    )


def _with_exits(draft: Draft) -> None:
    """One to three conditional ways out, each to an end of its own."""
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    exits = draft.random.randrange(1, 4)
    words = [sequence.load()]
    places = []
    for _ in range(exits):
        words += sequence.between(3)
        places.append(len(words))
        words.append(_NOP)
    words += [*sequence.between(3), sequence.store()]
    length = len(words) + 1
    for number, place in enumerate(places):
        words[place] = _leaving(draft, length + 2 + 2 * number - place, sequence)
    draft.add(*words, sequence.retry(words), _NOP, EXIT)
    for _ in range(exits):
        draft.add(draft.random.choice((_CLREX, _NOP)), EXIT)


def _compare_and_swap(draft: Draft) -> None:
    """What compilers make of it without LSE: equal half of the time."""
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    wanted = draft.free_register()
    words = [sequence.load(), _CMP_X | sequence.loaded << 5 | wanted, 0, sequence.store()]
    words[2] = 0x5400_0001 | 3 << 5  # b.ne behind the loop
    draft.add(*words, sequence.retry(words))
    draft.draw(integer.REGISTER[:4], 2)


def _skip_inside(draft: Draft) -> None:
    """A branch that stays inside."""
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    body = [_NOP, *sequence.between(3)]
    words = [sequence.load(), _NOP, *body, sequence.store()]
    words[1] = _leaving(draft, len(body) + 1, sequence)
    draft.add(*words, sequence.retry(words))
    draft.draw(integer.REGISTER[:4], 1)


def _return_inside(draft: Draft) -> None:
    """A way out that is no immediate branch."""
    sequence = _Sequence(draft)
    while _LINK in {sequence.base, sequence.loaded, sequence.second, *sequence.results}:
        sequence = _Sequence(draft)
    words = [sequence.load(), _NOP, _RET, *sequence.between(2), sequence.store()]
    words[1] = _leaving(draft, 2, sequence)
    draft.set(_LINK, draft.address(len(words) + 2))
    draft.add(*words, sequence.retry(words), EXIT)
    draft.draw(integer.REGISTER[:4], 1)


def _branch_inside(draft: Draft) -> None:
    """Unconditional ones: out of the sequence, or forward in it."""
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    if draft.random.getrandbits(1):
        words = [sequence.load(), _B | 2, _NOP, *sequence.between(3), sequence.store()]
    else:
        words = [sequence.load(), _NOP, _NOP, *sequence.between(3), sequence.store()]
        words[1] = _leaving(draft, 2, sequence)
        words[2] = _B | len(words)  # behind the loop and its exit
    draft.add(*words, sequence.retry(words), EXIT)
    draft.add(_CLREX, EXIT)


def _faulting(draft: Draft) -> None:
    """The load faults, or the store, or both would: permission, translation, alignment."""
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    random = draft.random
    offset = PAGE // 2 + random.choice((0, 0, 0, 16, 8, 4, 1))
    # What a first round that failed would leave: only a store that does not fail may fault.
    draft.set(sequence.status, 1)
    draft.set(sequence.base, ARENA + random.choice(_PAGES) * PAGE + offset)
    words = [sequence.load(), *sequence.between(4), sequence.store()]
    draft.add(*words, sequence.retry(words))


def _wait_for_event(draft: Draft) -> None:
    """A lock as the kernel takes it: SEVL, WFE, LDAXR, try again while it is taken; it is free."""
    sequence = _Sequence(draft)
    words = [_WFE, sequence.load(), *sequence.between(2), sequence.store()]
    draft.add(_SEVL, *words, sequence.retry(words))


def _broken(draft: Draft) -> None:
    """Ends that miss each other: no store, no load, CLREX between, two loads."""
    draft.at_el0(0.25)
    sequence = _Sequence(draft)
    draft.add(
        *draft.random.choice(
            (
                [sequence.load(), *sequence.between()],
                [sequence.store(), *sequence.between()],
                [sequence.load(), _CLREX, sequence.store()],
                [sequence.load(), *sequence.between(), sequence.load(), _CLREX],
            )
        )
    )


EXCLUSIVES = (
    CaseClass("exclusive-loop", _loop, least=12),
    CaseClass("exclusive-exits", _with_exits, least=10),
    CaseClass("exclusive-compare", _compare_and_swap, least=11),
    CaseClass("exclusive-skip", _skip_inside, least=11),
    CaseClass("exclusive-return", _return_inside, least=10, share=0.5),
    CaseClass("exclusive-branch", _branch_inside, least=10, share=0.5),
    CaseClass("exclusive-fault", _faulting, least=8, share=0.5),
    CaseClass("exclusive-wait", _wait_for_event, least=12, share=0.5),
    CaseClass("exclusive-broken", _broken, least=9, share=0.5),
)
