"""Cases once more, under probes: every instruction displaced, and performed or stepped instead."""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.conformance.aarch32 import T32_LANDING, instructions, set_of
from stepvisor.conformance.draft import EL0T
from stepvisor.conformance.guest import ConformanceGuest
from stepvisor.conformance.layout import FLAG_DEBUG
from stepvisor.conformance.target import Place, ProbeCounts, Target, Trap, Way
from stepvisor.probe.decode import is_load_exclusive

__all__ = ("How", "Probed", "places_of", "run_probed")

_MODE = 0xF
_BTYPE = 3 << 10
"""PSTATE.BTYPE."""


class How(enum.Enum):
    """How a batch ran under probes."""

    FREELY = "under probes"
    STEPPED = "stepped under probes"


@dataclass(frozen=True, slots=True)
class Probed:
    """A batch that ran under probes."""

    how: How
    results: NDArray[np.void]
    """RESULT of each case: against what it left freely."""
    cases: NDArray[np.int64]
    """Of each place, to which case it belongs."""
    ways: Sequence[Way]
    """Of each place."""
    counts: ProbeCounts
    steps: int
    """Instructions stepped one after the other."""

    def hits_of_cases(self) -> NDArray[np.int64]:
        """Hits of all places of each case."""
        found = np.bincount(self.cases, self.counts.hits, minlength=len(self.results))
        return found.astype(np.int64)

    def is_probed(self) -> NDArray[np.bool_]:
        """Which cases have any probe."""
        return np.bincount(self.cases, minlength=len(self.results)) > 0

    def wrong(self) -> str | None:
        """What is wrong with the counts, None if nothing is."""
        counts, hits = self.counts, self.counts.hits
        if counts.wrong:
            return f"{counts.wrong} steps under probes led astray, or records were lost"
        if counts.performed + counts.stepped != hits.sum():
            return (
                f"{hits.sum()} hits, but {counts.performed} displaced instructions were emulated"
                f" and {counts.stepped} stepped"
            )
        ways = np.array([way.name for way in self.ways])
        least = int(hits[ways == Way.PERFORMED.name].sum())
        most = least + int(hits[ways == Way.DEPENDS.name].sum())
        if self.how is How.STEPPED:  # whoever steps sees them run
            least = most = 0
        if not least <= counts.performed <= most:
            return f"{counts.performed} instructions were emulated, not {least} to {most}"
        return None


def run_probed(
    target: Target, guest: ConformanceGuest, cases: NDArray[np.void], trap: Trap
) -> Iterator[Probed]:
    """Plant probes on all that these cases, which the guest has kept, consist of, and run them.

    Freely, then stepped, which must see what is displaced. With Trap.CALL those at EL0 run
    without.

    :raise StuckError: When one does not come to its end.
    """
    found = [
        (number, place)
        for number, case in enumerate(cases)
        for place in places_of(case, guest.descriptor.code, trap)
    ]
    numbers = np.array([number for number, _ in found], np.int64)
    planned = target.plant([place for _, place in found])
    # Of a guest that debugs itself, whose own exceptions may be due, anything may be stepped; and
    # so may what comes after a load-exclusive, until its store or for good. Where code of EL0 runs
    # in the same page, an SMC has become a BRK, and is stepped where an indirect branch led to it.
    doubtful = cases["flags"] & FLAG_DEBUG != 0
    doubtful |= cases["start"]["pstate"] & _BTYPE != 0
    doubtful |= np.array([_reserves(case) for case in cases], np.bool_)
    ways = [
        Way.DEPENDS if way is Way.PERFORMED and doubtful[number] else way
        for number, way in zip(numbers, planned, strict=True)
    ]
    for how in How:
        before = target.stepped
        results = guest.run_probed(len(cases), stepped=how is How.STEPPED)
        steps = target.stepped - before
        yield Probed(how, results, numbers, ways, target.take_counts(), steps)
    target.remove()


def places_of(case: np.void, code: int, trap: Trap) -> Iterator[Place]:
    """The instructions of a CASE, in code that begins at `code`, that `trap` can stand in for."""
    start = case["start"]
    if trap is Trap.CALL and int(start["pstate"]) & _MODE == EL0T:
        return
    instruction_set = set_of(int(start["pstate"]))
    address = code + int(case["offset"])
    found = list(instructions(case))
    virtual = int(start["pc"]) - found[int(case["entry"])][0]
    for offset, word in found:
        # Where the state changes in the middle of a case there is no A32.
        if instruction_set is InstructionSet.A64 or word != T32_LANDING:
            yield Place(address + offset, virtual + offset, word, trap, instruction_set)


def _reserves(case: np.void) -> bool:
    words = case["words"][: int(case["count"])].tolist()
    return any(is_load_exclusive(word) for word in words)
