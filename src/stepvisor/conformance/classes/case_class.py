"""One class of cases."""

from collections.abc import Callable
from dataclasses import dataclass

from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import ALWAYS, Feature
from stepvisor.conformance.target import Interrupts, Trap

__all__ = ("CaseClass",)


@dataclass(frozen=True, slots=True)
class CaseClass:
    """How to make a case, and under which conditions it is run."""

    name: str
    build: Callable[[Draft], None]
    needs: Feature = ALWAYS
    linear: bool = False
    """Nothing branches before the exception at the end, so it is known what must be stepped."""
    least: int = 0
    """Otherwise, how many instructions are stepped at least, of each case."""
    share: float = 1.0
    """Of the usual number of cases."""
    interrupts: tuple[Interrupts, ...] = (Interrupts.STEP,)
    """How stepping treats interrupts; the cases are dealt out."""
    probed: Trap | None = Trap.CALL
    """By what the cases are run a third time, under probes; None: they are not."""
    fresh: bool = False
    """In a new machine, which has no probes behind it."""
    calls: bool = False
    """HVCs are reported, and return."""
