"""Instructions that lead to the next one: each case is a few of one group."""

from collections.abc import Callable, Sequence

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import ALWAYS, Feature
from stepvisor.conformance.instructions import integer, memory, vector
from stepvisor.conformance.layout import FLAG_NO_TAG_CHECKS, UPPER_HALF, USER_ALIAS
from stepvisor.conformance.pattern import Instruction
from stepvisor.conformance.target import Trap

__all__ = ("LINEAR",)

_CHANCE_OF_EL0 = 0.25
_CHANCE_OF_BTYPE = 0.1
"""That it begins as if a branch had led there, which matters in guarded pages only."""
_PSTATE_PAN = 1 << 22
_PACDZA = 0xDAC1_2BE0


def _plain(instructions: Sequence[Instruction], count: int = 4) -> Callable[[Draft], None]:
    """Without memory."""

    def build(draft: Draft) -> None:
        draft.at_el0(_CHANCE_OF_EL0)
        if Feature.BTI in draft.features and draft.random.random() < _CHANCE_OF_BTYPE:
            draft.pstate |= draft.random.getrandbits(2) << 10
        draft.draw(instructions, count)

    return build


def _memory(instructions: Sequence[Instruction], count: int = 4) -> Callable[[Draft], None]:
    """With registers that point to memory."""

    def build(draft: Draft) -> None:
        draft.at_el0(_CHANCE_OF_EL0)
        draft.use_pointers()
        draft.draw(instructions, count)

    return build


def _unprivileged(draft: Draft) -> None:
    """At EL1, through the mapping for EL0; half of them with PAN."""
    draft.use_pointers(alias=USER_ALIAS)
    if Feature.PAN in draft.features and draft.random.getrandbits(1):
        draft.pstate |= _PSTATE_PAN
    draft.draw(memory.UNPRIVILEGED, 4)


def _authenticated(draft: Draft) -> None:
    """Loads through pointers that are signed right before, or, now and then, not, or otherwise."""
    draft.at_el0(_CHANCE_OF_EL0)
    draft.use_pointers()
    for _ in range(3):
        word = draft.draw_one(memory.AUTHENTICATED)
        base, key = word >> 5 & 31, word >> 23 & 1
        if draft.random.random() < 0.1:
            key ^= 1
        if base != 31 and draft.random.random() < 0.9:
            draft.add(_PACDZA | key << 10 | base)
        draft.add(word)


def _upper_half(draft: Draft) -> None:
    """At EL1, where a kernel has its data."""
    draft.flags |= FLAG_NO_TAG_CHECKS
    random = draft.random
    draft.use_pointers(alias=UPPER_HALF + random.choice((0, 0, 0, USER_ALIAS)))
    if Feature.PAN in draft.features:
        draft.pstate |= _PSTATE_PAN * random.getrandbits(1)
    draft.draw((*memory.GENERAL, *memory.PAIR), 4)


def _mixture(chance_of_el0: float) -> Callable[[Draft], None]:
    """Of almost everything."""

    def build(draft: Draft) -> None:
        draft.at_el0(chance_of_el0)
        draft.use_pointers()
        draft.draw(_MIXED, 16)

    return build


_MIXED = (
    *integer.REGISTER,
    *integer.IMMEDIATE,
    *memory.GENERAL,
    *memory.PAIR,
    *memory.VECTOR,
    *memory.STRUCTURE,
    *vector.SCALAR,
    *vector.SIMD,
    *vector.TRANSFER,
)


def _class(
    name: str,
    build: Callable[[Draft], None],
    needs: Feature = ALWAYS,
    share: float = 1.0,
    probed: Trap = Trap.CALL,
) -> CaseClass:
    return CaseClass(name, build, needs, linear=True, share=share, probed=probed)


LINEAR = (
    _class("data-immediate", _plain(integer.IMMEDIATE)),
    _class("data-register", _plain(integer.REGISTER)),
    _class("flags", _plain(integer.FLAGS), Feature.FLAGM, 0.5),
    _class("pointer-authentication", _plain(integer.POINTER_AUTHENTICATION)),
    _class("load-store", _memory(memory.GENERAL)),
    _class("load-store-pair", _memory(memory.PAIR)),
    _class("load-store-vector", _memory(memory.VECTOR)),
    _class("load-store-structure", _memory(memory.STRUCTURE)),
    _class("load-literal", _memory(memory.LITERAL)),
    _class("load-store-unprivileged", _unprivileged),
    _class("load-authenticated", _authenticated, Feature.PAUTH),
    _class("load-store-upper-half", _upper_half),
    _class("load-store-ordered", _memory(memory.ORDERED)),
    _class("atomic", _memory(memory.ATOMIC), Feature.LSE),
    _class("float", _plain(vector.SCALAR)),
    _class("float-transfer", _plain(vector.TRANSFER)),
    _class("vector", _plain(vector.SIMD)),
    _class("crypto", _plain(vector.CRYPTO), Feature.AES),
    _class("vector-extended", _plain(vector.EXTENDED), Feature.FCMA),
    _class("mixture", _mixture(_CHANCE_OF_EL0)),
    _class("mixture-user", _mixture(1), share=0.5, probed=Trap.BREAKPOINT),
    _class("mixture-breakpoint", _mixture(0), share=0.5, probed=Trap.BREAKPOINT),
)
