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


PLAIN = HitFormat()
