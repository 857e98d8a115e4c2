"""SVE. What lies beyond 128 bits is compared by the stores at the end of a case."""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import scalable
from stepvisor.conformance.layout import ARENA, ARENA_USER_READ_ONLY, PAGE

__all__ = ("SCALABLE",)

_CHANCE_OF_EL0 = 0.25
_PREDICATES = 16
_LOADED, _STORED = 6, 4
_PTRUE = 0x2518_E000
_SETFFR = 0x252C_9000
_READ_FFR = 0x2519_F000
_LOAD, _STORE = 0x8580_4000, 0xE580_4000
_STORE_PREDICATE = 0xE580_0000


def _prepare(draft: Draft) -> None:
    """Predicates and vectors that depend on nothing before this case."""
    random = draft.random
    draft.add(_SETFFR)
    for predicate in range(_PREDICATES):
        draft.add(
            0x2518_E000 | random.getrandbits(2) << 22 | random.getrandbits(5) << 5 | predicate
        )
    for vector in range(_LOADED):
        draft.add(_LOAD | random.choice(draft.registers.pointers) << 5 | vector)


def _show(draft: Draft) -> None:
    """All of some vectors and predicates, into memory."""
    random = draft.random
    for vector in random.sample(range(32), _STORED):
        draft.add(_STORE | random.choice(draft.registers.pointers) << 5 | vector)
    for predicate in random.sample(range(16), 2):
        draft.add(_STORE_PREDICATE | random.choice(draft.registers.pointers) << 5 | predicate)


def _data(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    draft.use_pointers(3)
    _prepare(draft)
    draft.draw((*scalable.COMPUTE, *scalable.PREDICATE), 6)
    _show(draft)


def _memory(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    draft.use_pointers(3)
    _prepare(draft)
    draft.draw((*scalable.LOAD, *scalable.STORE), 5)
    _show(draft)


def _first_fault(draft: Draft) -> None:
    """Loads that may run into a page that is not mapped: fewer elements come, and FFR says so."""
    draft.at_el0(_CHANCE_OF_EL0)
    registers = draft.use_pointers(3)
    _prepare(draft)
    bad = registers.pointers[0]
    end = ARENA + (ARENA_USER_READ_ONLY + 1) * PAGE
    draft.load(bad, end - draft.random.randrange(1, 64))
    word = draft.draw_one(scalable.FIRST_FAULT) & ~(31 << 5) | bad << 5
    draft.add(word, _READ_FFR | draft.random.randrange(16))
    draft.registers = draft.registers.__class__(pointers=registers.pointers[1:])
    _show(draft)


SCALABLE = (
    CaseClass("scalable", _data, Feature.SVE, linear=True),
    CaseClass("scalable-load-store", _memory, Feature.SVE, linear=True),
    CaseClass("scalable-first-fault", _first_fault, Feature.SVE, linear=True, share=0.5),
)
