"""How much of a kernel's code is emulated under a probe, and why the rest is not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import ProbeError
from stepvisor.probe.decode import WORD_SIZE
from stepvisor.probe.many import find_functions
from stepvisor.probe.place import Code
from stepvisor.probe.plan import Method, plan_for
from stepvisor.probe.resolve import Target
from stepvisor.symbols.table import SymbolTable

__all__ = ("Coverage", "Explanation", "Share", "explain", "survey")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a probe."""

    label: str
    address: int
    """Virtual."""
    word: int
    method: Method | None
    """None: there can be no probe."""
    reason: str


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some instructions are emulated."""

    total: int
    emulated: int

    @property
    def fraction(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.emulated / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """What would become of a probe on each instruction."""

    entries: Share
    """First instructions of functions."""
    instructions: Share
    """All of the code, data in it included."""
    others: Mapping[str, int]
    """How many instructions are not emulated, by reason, the most frequent first."""


def explain(code: Code, target: Target) -> Explanation:
    """The plan for one instruction."""
    word = code.word(target)
    try:
        request = code.request(target, slot=1)
    except ProbeError as error:
        return Explanation(target.label, code.address(target), word, None, str(error))
    choice = plan_for(word)
    return Explanation(target.label, request.va, word, choice.method, choice.reason)


def survey(code: Code, words: NDArray[np.uint32], table: SymbolTable) -> Coverage:
    """Plan all of `code`, whose instructions are `words`."""
    emulated, reasons = _plan_all(words)
    entries = [target.offset - code.text.start for target in find_functions(table, "*")[0]]
    places = np.array(entries, np.int64) // WORD_SIZE
    counts = Counter(reasons[~emulated].tolist())
    return Coverage(
        entries=Share(len(places), int(emulated[places].sum())),
        instructions=Share(len(words), int(emulated.sum())),
        others=dict(counts.most_common()),
    )


def _plan_all(words: NDArray[np.uint32]) -> tuple[NDArray[np.bool_], NDArray[np.object_]]:
    """For each word whether it is emulated, and the reason; each different one is planned once."""
    different, places = np.unique(words, return_inverse=True)
    choices = [plan_for(word) for word in different.tolist()]
    emulated = np.array([choice.method is Method.EMULATE for choice in choices], np.bool_)
    reasons = np.array([choice.reason for choice in choices], np.object_)
    return emulated[places], reasons[places]
