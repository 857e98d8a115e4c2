"""Branches of every form, taken and not; loops, signed pointers, landing pads."""

from random import Random

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import EL0T, EXIT, Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import integer
from stepvisor.conformance.layout import ARENA, ARENA_GUARDED, ARENA_USER_GUARDED, PAGE
from stepvisor.conformance.target import Trap

__all__ = ("BRANCHES", "branch_immediate")

_CHANCE_OF_EL0 = 0.25
_LANDINGS = 8
_LINK_REGISTER = 30

_BR, _BLR, _RET = 0xD61F_0000, 0xD63F_0000, 0xD65F_0000
_BRAAZ, _BLRAAZ, _BRAA, _BLRAA = 0xD61F_081F, 0xD63F_081F, 0xD71F_0800, 0xD73F_0800
_RETAA = 0xD65F_0BFF
_PACIA, _PACIZA, _PACIASP = 0xDAC1_0000, 0xDAC1_23E0, 0xD503_233F
_KEY_B, _PACIZ_B, _PACIASP_B = 1 << 10, 1 << 10, 1 << 6
_PADS = (0xD503_241F, 0xD503_245F, 0xD503_249F, 0xD503_24DF, _PACIASP, 0xD503_201F)
"""BTI, BTI c, BTI j, BTI jc, PACIASP, and NOP, which is none."""
_SUBS_1, _CBNZ = 0xF100_0400, 0xB500_0000


def branch_immediate(random: Random, distance: int) -> int:
    """Any branch with its target in the instruction, `distance` instructions away."""
    register, bit = random.getrandbits(5), random.getrandbits(6)
    far, near = distance & 0x7_FFFF, distance & 0x3FFF
    return random.choice(
        (
            0x1400_0000 | distance & 0x3FF_FFFF,
            0x9400_0000 | distance & 0x3FF_FFFF,
            0x5400_0000 | far << 5 | random.getrandbits(4),
            0x3400_0000 | random.getrandbits(1) << 31 | far << 5 | register,
            0x3500_0000 | random.getrandbits(1) << 31 | far << 5 | register,
            0x3600_0000 | bit >> 5 << 31 | (bit & 31) << 19 | near << 5 | register,
            0x3700_0000 | bit >> 5 << 31 | (bit & 31) << 19 | near << 5 | register,
        )
    )


def _places(draft: Draft) -> tuple[int, int]:
    """Fills the case with exits; where a branch goes, and its target."""
    draft.add(*[EXIT] * _LANDINGS)
    source = draft.random.randrange(_LANDINGS - 2)
    target = draft.random.choice([i for i in range(_LANDINGS) if not source <= i <= source + 1])
    draft.entry = source
    return source, target


def _immediate(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    source, target = _places(draft)
    target = draft.random.choice((target, target, target, source + 1))
    draft.words[source] = branch_immediate(draft.random, target - source)


def _register(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    source, target = _places(draft)
    register = draft.random.randrange(31)
    draft.set(register, draft.address(target))
    draft.words[source] = draft.random.choice((_BR, _BLR, _RET)) | register << 5


def _loop(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    counter = draft.random.randrange(31)
    draft.registers = draft.registers.__class__(written=tuple(r for r in range(32) if r != counter))
    draft.set(counter, draft.random.randrange(1, 20))
    draft.draw(integer.REGISTER, draft.random.randrange(3))
    draft.add(_SUBS_1 | counter << 5 | counter)
    back = -draft.here
    if draft.random.getrandbits(1):
        draft.add(_CBNZ | (back & 0x7_FFFF) << 5 | counter)
    else:
        draft.add(0x5400_0001 | (back & 0x7_FFFF) << 5)  # b.ne


def _authenticated(draft: Draft) -> None:
    """The pointer is signed right before, or, now and then, not, or with the other key."""
    draft.at_el0(_CHANCE_OF_EL0)
    source, target = _places(draft)
    random, key = draft.random, draft.random.getrandbits(1)
    sign, use = _signed_pair(draft, key, target)
    if random.random() < 0.2:
        sign = random.choice((0xD503_201F, sign ^ (_PACIASP_B if sign == _PACIASP else _KEY_B)))
    draft.words[source : source + 2] = [sign, use]


def _signed_pair(draft: Draft, key: int, target: int) -> tuple[int, int]:
    random = draft.random
    pointer, modifier = random.sample(range(31), 2)
    kind = random.randrange(5)
    if kind == 0:
        draft.set(_LINK_REGISTER, draft.address(target))
        return _PACIASP | key * _PACIASP_B, _RETAA | key << 10
    draft.set(pointer, draft.address(target))
    if kind < 3:
        use = random.choice((_BRAA, _BLRAA)) | key << 10 | pointer << 5 | modifier
        return _PACIA | key * _KEY_B | modifier << 5 | pointer, use
    use = random.choice((_BRAAZ, _BLRAAZ)) | key << 10 | pointer << 5
    return _PACIZA | key * _PACIZ_B | pointer, use


def _guarded(draft: Draft) -> None:
    """Through pages where an indirect branch must land on a landing pad that suits it."""
    draft.at_el0(_CHANCE_OF_EL0)
    page = ARENA_USER_GUARDED if draft.mode == EL0T else ARENA_GUARDED
    draft.code = ARENA + page * PAGE - draft.alias
    source, target = _places(draft)
    register = draft.random.choice((16, 17, draft.random.randrange(31)))
    draft.set(register, draft.address(target))
    if draft.random.random() < 0.3:
        draft.pstate |= draft.random.getrandbits(2) << 10  # BTYPE at the start
    draft.words[target : target + 1] = [draft.random.choice(_PADS)]
    if target + 1 == source:  # what follows the pad must not be the branch again
        draft.words[target] = EXIT
    draft.words[source] = draft.random.choice((_BR, _BLR, _RET)) | register << 5


BRANCHES = (
    CaseClass("branch-immediate", _immediate, least=9),
    CaseClass("branch-register", _register, least=9),
    CaseClass("branch-loop", _loop, least=10),
    CaseClass("branch-authenticated", _authenticated, Feature.PAUTH, least=9),
    CaseClass("branch-landing-pad", _guarded, Feature.BTI, least=8, probed=Trap.BREAKPOINT),
)
