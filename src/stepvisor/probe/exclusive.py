"""Exclusive sequences: no trap may come between a load-exclusive and its store-exclusive.

Every exception return clears the local monitor (Arm ARM, "Synchronization and semaphores"), so a
probe in between makes the store fail and the guest retry for ever.
"""

from collections.abc import Sequence

from stepvisor.probe.decode import (
    ends_exclusive,
    is_load_exclusive,
    is_store_exclusive,
)

__all__ = ("MAX_REGION", "exclusive_region")

MAX_REGION = 64
"""Instructions; the longest in a kernel are about ten, and the architecture advises few."""


def exclusive_region(words: Sequence[int], index: int) -> tuple[int, int] | None:
    """First and last index of the exclusive sequence that holds ``words[index]``, if one does.

    A load-exclusive without a store-exclusive (waiting with WFE) is no sequence.
    """
    for start in range(index, max(index - MAX_REGION, -1), -1):
        if is_load_exclusive(words[start]):
            end = _store(words, start)
            if end is not None and index <= end:
                return start, end
    return None


def _store(words: Sequence[int], start: int) -> int | None:
    """Index of the last store-exclusive that closes the sequence begun at `start`."""
    for index in range(start + 1, min(start + MAX_REGION, len(words))):
        if is_store_exclusive(words[index]):
            return index
        if ends_exclusive(words[index]):
            return None
    return None
