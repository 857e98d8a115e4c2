"""One class of cases."""

from collections.abc import Callable
from dataclasses import dataclass

from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import ALWAYS, Feature
from stepvisor.conformance.target import Interrupts

__all__ = ("CaseClass",)


@dataclass(frozen=True, slots=True)
class CaseClass:
    """How to make a case, and under which conditions it is run."""

    name: str
    build: Callable[[Draft], None]
    needs: Feature = ALWAYS
    linear: bool = False
    """Runs from its first instruction to the exception that ends it without a branch: then it is known
    how many instructions were stepped."""
    share: float = 1.0
    """Of the usual number of cases."""
    interrupts: tuple[Interrupts, ...] = (Interrupts.STEP,)
    """How stepping treats interrupts; the cases are dealt out."""
    calls: bool = False
    """HVCs are reported, and return."""
