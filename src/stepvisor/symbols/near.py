"""Names similar to one that does not exist."""

import difflib
import heapq
import itertools
from collections.abc import Iterable
from typing import Final

__all__ = ("near_names",)

_SHORTLIST: Final = 200
_SHOWN: Final = 5
_CUTOFF: Final = 0.6
_CONSIDERED: Final = 1 << 20
_LONGEST: Final = 128


def near_names(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return up to five of `names` that someone who typed `name` may have meant, best first.

    Comparing properly with 100,000 names takes a second, so pairs of letters in common make a
    shortlist first.
    """
    wanted = name.lower()[:_LONGEST]
    pairs = {wanted[i : i + 2] for i in range(len(wanted) - 1)} or {wanted}

    def common(candidate: str) -> tuple[int, int]:
        lowered = candidate.lower()
        return sum(pair in lowered for pair in pairs), -abs(len(candidate) - len(name))

    distinct = dict.fromkeys(itertools.islice(names, _CONSIDERED))
    shortlist = heapq.nlargest(_SHORTLIST, distinct, key=common)
    by_text = {candidate.lower(): candidate for candidate in reversed(shortlist)}
    close = difflib.get_close_matches(wanted, by_text, _SHOWN, _CUTOFF)
    # The compiler's clones of a function (name.isra.0) are what is meant more often than not.
    clones = sorted(text for text in by_text if text.startswith(f"{wanted}."))
    return tuple(by_text[text] for text in dict.fromkeys([*clones, *close]))[:_SHOWN]
