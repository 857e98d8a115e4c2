"""What is run: the list of classes.

A class makes one case from a :class:`~stepvisor.conformance.draft.Draft`, which carries its own
source of randomness: the same seed makes the same case.
"""

from stepvisor.conformance.classes.aarch32 import AARCH32
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

__all__ = ("CLASSES", "CaseClass")

CLASSES: tuple[CaseClass, ...] = (
    *LINEAR,
    *SCALABLE,
    *TAGS,
    *BRANCHES,
    *SYSTEM,
    *INTERRUPTS,
    *FAULTS,
    *EXCLUSIVES,
    *AARCH32,
    *DEBUGGING,
)
