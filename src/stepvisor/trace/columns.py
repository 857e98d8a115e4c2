"""From what the rings bring to the records of one trace."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stepvisor.monitor.capture import CaptureLayout, RawCaptures
from stepvisor.monitor.events import HIT_DTYPE, Drained

__all__ = ("PLAIN", "HitFormat")

_HEADER = ("vcpu", "slot", "sequence", "ticks", "pc")


class HitFormat:
    """How the hits of a trace are to be read."""

    def __init__(
        self, layout: CaptureLayout | None = None, *, plain: bool = False, slots: Iterable[int] = ()
    ) -> None:
        """Without a `layout`, hits are plain records.

        :param plain: The layout has x0 to x5, to be shown like a plain record.
        :param slots: Probes of this trace: a late hit of an older one may have another layout.
        """
        self.layout = None if plain else layout
        """Columns beside the header; None for x0 to x5."""
        self._captured = layout
        self._known = np.zeros(1 << 16, np.bool_)
        self._known[list(slots)] = True
        self.dtype = HIT_DTYPE if self.layout is None else self.layout.dtype

    def arrays(self, drained: Drained) -> list[NDArray[np.void]]:
        """Arrays of `dtype`, each of one vCPU and in its order."""
        if self._captured is None:
            return drained.hits
        return [self._decode(self._captured, raw) for raw in drained.captures]

    def _decode(self, layout: CaptureLayout, raw: RawCaptures) -> NDArray[np.void]:
        records = layout.decode(raw.of(self._known))
        if self.layout is not None:
            return records
        hits = np.zeros(len(records), HIT_DTYPE)
        for name in _HEADER:
            hits[name] = records[name]
        for number in range(hits["x"].shape[1]):
            hits["x"][:, number] = records[f"v{number}"]
        return hits


PLAIN = HitFormat()
