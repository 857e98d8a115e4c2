"""What is run: the list of classes.

A class makes one case from a :class:`~stepvisor.conformance.draft.Draft`, which carries its own
source of randomness: the same seed makes the same case.
"""

from stepvisor.conformance.classes.branches import BRANCHES
from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.classes.debug import DEBUGGING
from stepvisor.conformance.classes.exclusives import EXCLUSIVES
from stepvisor.conformance.classes.faults import FAULTS
from stepvisor.conformance.classes.interrupts import INTERRUPTS
from stepvisor.conformance.classes.linear import LINEAR
from stepvisor.conformance.classes.scalable import SCALABLE
from stepvisor.conformance.classes.system import SYSTEM
from stepvisor.conformance.classes.tags import TAGS
from stepvisor.conformance.target import Trap

__all__ = ("CLASSES", "CaseClass")

_ALL = (
    *LINEAR,
    *SCALABLE,
    *TAGS,
    *BRANCHES,
    *SYSTEM,
    *INTERRUPTS,
    *FAULTS,
    *EXCLUSIVES,
    *DEBUGGING,
)


def _turn(case_class: CaseClass) -> int:
    """Probes by BRK come last: from then on a hypervisor may treat debug exceptions otherwise.

    The guests that debug themselves are first among them, when what runs freely still is free.
    """
    if case_class.probed is not Trap.BREAKPOINT:
        return 0
    return 1 if case_class in DEBUGGING else 2


CLASSES: tuple[CaseClass, ...] = tuple(sorted(_ALL, key=_turn))
"""In the order in which they are run."""
