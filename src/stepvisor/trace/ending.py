"""Why the stepping of a run ended."""

import enum
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stepvisor.monitor.vocabulary import Outcome

__all__ = ("Ending", "ending_of", "find_end")


class Ending(enum.Enum):
    """Why stepping ended; the value says it in words."""

    ASKED = "the end that was asked for came"
    TASK = "the task ended"
    VCPU = "its vCPU went off"
    MODULE = "the module in which it was to end was unloaded"
    GUEST = "the guest ended"


_ENDINGS: Final[Mapping[Outcome, Ending]] = {
    Outcome.STOPPED: Ending.ASKED,
    Outcome.TASK_ENDED: Ending.TASK,
    Outcome.VCPU_OFF: Ending.VCPU,
}


def ending_of(outcome: Outcome) -> Ending | None:
    """What an event with this outcome ends stepping for; None when it goes on."""
    return _ENDINGS.get(outcome)


def find_end(outcomes: NDArray[np.uint32]) -> tuple[int, Ending] | None:
    """The first event that ends stepping, and why."""
    found = np.flatnonzero(np.isin(outcomes, [int(outcome) for outcome in _ENDINGS]))
    if not len(found):
        return None
    return int(found[0]), _ENDINGS[Outcome(int(outcomes[found[0]]))]
