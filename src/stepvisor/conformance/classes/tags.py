"""Memory tagging, and accesses that it checks: the tag of the pointer is right, or not."""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import integer, memory, tags
from stepvisor.conformance.layout import ARENA, ARENA_TAGGED, PAGE

__all__ = ("TAGS",)

_CHANCE_OF_EL0 = 0.3
_SET_TCO = 0xD503_409F
_BY_ADDRESS = (0xD50B_7460, 0xD50B_7480, 0xD50B_7420)
"""DC GVA, DC GZVA, DC ZVA."""


def _tagged_pointers(draft: Draft) -> None:
    """Into the page with tags, each with the tag that a third of its granules have."""
    random = draft.random
    for register in draft.use_pointers(4).pointers:
        offset = PAGE // 2 + 16 * random.randrange(-16, 16)
        draft.set(register, ARENA + ARENA_TAGGED * PAGE + offset | random.randrange(3) << 56)


def _compute(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    draft.draw((*tags.COMPUTE, *integer.REGISTER[:2]), 5)


def _access(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    _tagged_pointers(draft)
    if draft.random.getrandbits(2) == 0:
        draft.add(_SET_TCO | draft.random.getrandbits(1) << 8)
    draft.draw((*memory.GENERAL, *memory.PAIR, *memory.VECTOR), 3)


def _tag_memory(draft: Draft) -> None:
    draft.at_el0(_CHANCE_OF_EL0)
    _tagged_pointers(draft)
    for _ in range(4):
        if draft.random.random() < 0.1:
            base = draft.random.choice([r for r in draft.registers.pointers if r < 31])
            draft.add(draft.random.choice(_BY_ADDRESS) | base)
        else:
            draft.draw((*tags.MEMORY, *memory.GENERAL))


TAGS = (
    CaseClass("tag", _compute, Feature.MTE, linear=True),
    CaseClass("tagged-access", _access, Feature.MTE, linear=True),
    CaseClass("tag-memory", _tag_memory, Feature.MTE, linear=True),
)
