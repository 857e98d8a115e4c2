"""What is run: the list of classes.

A class makes one case from a :class:`~stepvisor.conformance.draft.Draft`, which carries its own source of
randomness: the same seed makes the same case.
"""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.classes.linear import LINEAR

__all__ = ("CLASSES", "CaseClass")

CLASSES: tuple[CaseClass, ...] = (*LINEAR,)
