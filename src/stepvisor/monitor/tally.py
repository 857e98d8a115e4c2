"""Counters and histograms that programs keep in the hypervisor, summed over vCPUs.

They count from the start of the guest and are never set back: look before and after.
"""

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire

__all__ = ("BUCKETS", "Tallies")

BUCKETS = 64
"""Of a histogram: bucket n counts values of n significant bits, the last one 63 and 64."""


class Tallies:
    """Reads them, while the guest runs."""

    def __init__(self, region: NDArray[np.uint8], vcpus: int) -> None:
        """`region` is the hypervisor's memory from its start."""
        self._counters = _area(region, wire.COUNTERS_OFFSET, vcpus, (wire.COUNTERS,))
        self._histograms = _area(region, wire.HISTOGRAMS_OFFSET, vcpus, (wire.HISTOGRAMS, BUCKETS))
        self._probes = _area(region, wire.PROBE_COUNTERS_OFFSET, vcpus, (wire.MAX_SLOTS,))

    def counters(self) -> NDArray[np.uint64]:
        """COUNT's, by number."""
        return _sum(self._counters)

    def histograms(self) -> NDArray[np.uint64]:
        """HISTOGRAM's: a row of buckets by number."""
        return _sum(self._histograms)

    def probes(self) -> NDArray[np.uint64]:
        """COUNT_PROBE's, by slot."""
        return _sum(self._probes)


def _area(
    region: NDArray[np.uint8], offset: int, vcpus: int, shape: tuple[int, ...]
) -> NDArray[np.uint64]:
    size = vcpus * 8 * int(np.prod(shape))
    return region[offset : offset + size].view("<u8").reshape(vcpus, *shape)


def _sum(area: NDArray[np.uint64]) -> NDArray[np.uint64]:
    total: NDArray[np.uint64] = area.sum(axis=0, dtype=np.uint64)
    return total
