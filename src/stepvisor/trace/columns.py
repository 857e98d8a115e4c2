"""From what the rings bring to the records of one trace."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stepvisor.monitor.capture import CaptureLayout
from stepvisor.monitor.events import HIT_DTYPE, Drained

__all__ = ("PLAIN", "HitFormat")


class HitFormat:
    """How the hits of a trace are to be read."""

    def __init__(self, layout: CaptureLayout | None = None, slots: Iterable[int] = ()) -> None:
        """Without a `layout`, hits are plain records.

        :param slots: Probes of this trace: a late hit of an older one may have another layout.
        """
        self.layout = layout
        """Columns beside the header; None for x0 to x5."""
        self._known = np.zeros(1 << 16, np.bool_)
        self._known[list(slots)] = True
        self.dtype = HIT_DTYPE if layout is None else layout.dtype

    def arrays(self, drained: Drained) -> list[NDArray[np.void]]:
        """Arrays of `dtype`, each of one vCPU and in its order."""
        if self.layout is None:
            return drained.hits
        return [self.layout.decode(raw.of(self._known)) for raw in drained.captures]

    def missing(self, hits: NDArray[np.void]) -> NDArray[np.int64]:
        """For each captured value, at how many of `hits` the guest has no memory for it."""
        if self.layout is None:
            return np.zeros(0, np.int64)
        count = len(self.layout.values)
        faults = hits["faults"]
        if not faults.any():
            return np.zeros(count, np.int64)
        return np.array(
            [int((faults >> np.uint64(n) & np.uint64(1)).sum()) for n in range(count)], np.int64
        )


PLAIN = HitFormat()
