"""Bounded work on data that somebody else made.

Work is counted, not timed, so that the same file is refused or taken on every machine, however
busy. A unit is about what it costs to look at one byte with NumPy: a nanosecond.
"""

import time
from typing import Final

__all__ = ("Budget", "Deadline")


class Budget:
    """Units of work that may be spent on one file, or one look into a guest's memory."""

    def __init__(self, units: int, refusal: Exception) -> None:
        """Raise `refusal` when more than `units` are spent."""
        self._left = units
        self._refusal: Final = refusal

    @property
    def left(self) -> int:
        """Units that can still be spent."""
        return self._left

    def spend(self, units: int) -> None:
        """Take `units`, before the work that they stand for."""
        self._left -= units
        if self._left < 0:
            raise self._refusal


class Deadline:
    """For work that a library does, whose cost is not known before it is done."""

    def __init__(self, seconds: float, refusal: Exception) -> None:
        """Raise `refusal` from :meth:`check` when `seconds` have passed."""
        self._end = time.monotonic() + seconds
        self._refusal: Final = refusal

    def check(self) -> None:
        """To be called between pieces of the work."""
        if time.monotonic() > self._end:
            raise self._refusal
