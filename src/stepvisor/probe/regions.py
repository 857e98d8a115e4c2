"""All exclusive sequences of a stretch of code, found at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stepvisor.probe.decode import ends_exclusive, is_load_exclusive, is_store_exclusive
from stepvisor.probe.exclusive import MAX_REGION

__all__ = ("inside_exclusive",)

_EXCLUSIVE_CLASS = (0x3F00_0000, 0x0800_0000)
"""Mask and value that all loads and stores exclusive share, with others: a first sieve."""


def inside_exclusive(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """For each word: whether :func:`stepvisor.probe.exclusive.exclusive_region` finds one there.

    All sequences are followed in step, one word at a time.
    """
    inside = np.zeros(len(words), np.bool_)
    mask, value = _EXCLUSIVE_CLASS
    starts = np.flatnonzero((words & mask) == value)
    starts = starts[_each(is_load_exclusive, words[starts])]
    for distance in range(1, MAX_REGION):
        starts = starts[starts + distance < len(words)]
        here = words[starts + distance]
        closed = _each(is_store_exclusive, here)
        for start in starts[closed].tolist():
            inside[start : start + distance + 1] = True
        starts = starts[~closed & ~_each(ends_exclusive, here)]
    return inside


def _each(question: Callable[[int], bool], words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """The answers for `words`, asking once for each different one."""
    different, places = np.unique(words, return_inverse=True)
    answers = np.array([question(word) for word in different.tolist()], np.bool_)
    return answers[places]
