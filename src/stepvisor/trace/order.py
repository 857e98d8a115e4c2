"""Events of several vCPUs in the order of their time."""

import numpy as np
from numpy.typing import NDArray

from stepvisor.monitor.events import EVENT_DTYPE

__all__ = ("InOrder",)


class InOrder:
    """Holds what one round over the rings brought until the next one has been made.

    A round reads one ring after the other, so a record of the last ring may be younger than one
    that the first ring got meanwhile. Whatever is older than the youngest record of a round was in
    its ring when that round ended, and so comes at the latest with the next one.
    """

    def __init__(self) -> None:
        self._held = np.empty(0, EVENT_DTYPE)

    def round(self, arrays: list[NDArray[np.void]]) -> NDArray[np.void]:
        """What is known to be complete, after a round that brought `arrays`."""
        if not arrays and not len(self._held):
            return self._held
        cut = int(self._held["ticks"][-1]) if len(self._held) else -1
        together = np.concatenate([self._held, *arrays])
        together = together[np.argsort(together["ticks"], kind="stable")]
        count = int(np.searchsorted(together["ticks"], cut, side="right")) if cut >= 0 else 0
        self._held = together[count:]
        return together[:count]

    def rest(self) -> NDArray[np.void]:
        """What is still held, when no more comes."""
        held, self._held = self._held, np.empty(0, EVENT_DTYPE)
        return held
