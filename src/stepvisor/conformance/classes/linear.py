"""Instructions that lead to the next one: each case is a few of one group."""

from collections.abc import Callable, Sequence

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import ALWAYS, Feature
from stepvisor.conformance.instructions import integer, memory, vector
from stepvisor.conformance.layout import USER_ALIAS
from stepvisor.conformance.pattern import Instruction

__all__ = ("LINEAR",)

_CHANCE_OF_EL0 = 0.25
_PSTATE_PAN = 1 << 22


def _plain(instructions: Sequence[Instruction], count: int = 4) -> Callable[[Draft], None]:
    """Without memory."""

    def build(draft: Draft) -> None:
        draft.at_el0(_CHANCE_OF_EL0)
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


def _mixture(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    draft.use_pointers()
    draft.draw(_MIXED, 16)


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
    name: str, build: Callable[[Draft], None], needs: Feature = ALWAYS, share: float = 1.0
) -> CaseClass:
    return CaseClass(name, build, needs, linear=True, share=share)


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
    _class("load-store-ordered", _memory(memory.ORDERED)),
    _class("atomic", _memory(memory.ATOMIC), Feature.LSE),
    _class("float", _plain(vector.SCALAR)),
    _class("float-transfer", _plain(vector.TRANSFER)),
    _class("vector", _plain(vector.SIMD)),
    _class("crypto", _plain(vector.CRYPTO), Feature.AES),
    _class("mixture", _mixture),
)
