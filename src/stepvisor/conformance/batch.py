"""Cases that are run together, and how many of their instructions run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.conformance.aarch32 import instructions, set_of
from stepvisor.conformance.classes import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.layout import BATCH, CASE, Descriptor
from stepvisor.conformance.target import Interrupts, Trap

__all__ = ("Batch", "deal", "is_svc", "ran", "wanted_steps")

_STEPS_AROUND = 7
"""Steps of a linear case apart from its own: the exception return to it, six in the vector."""
_STEPS_OF_HANDLER = np.uint64(20)
_SVC32, _SVC64 = 0x11, 0x15


@dataclass(frozen=True)
class Batch:
    """Cases that are run together."""

    case_class: CaseClass
    interrupts: Interrupts
    seeds: Sequence[int]
    cases: NDArray[np.void]
    """CASE of each."""
    probed: Trap | None
    """By what they are probed, once they have run without."""

    @classmethod
    def make(
        cls,
        case_class: CaseClass,
        interrupts: Interrupts,
        seeds: Sequence[int],
        guest: Descriptor,
        features: Feature,
        *,
        probed: bool,
    ) -> "Batch":
        """The cases with these seeds."""
        cases = np.zeros(len(seeds), CASE)
        for record, seed in zip(cases, seeds, strict=True):
            # By the seed alone, and no two of a batch in one place.
            place = seed // len(case_class.interrupts) % BATCH
            draft = Draft(
                Random(f"{case_class.name}/{seed}"),
                guest,
                features,
                None if case_class.probed is None else place,
            )
            case_class.build(draft)
            draft.store(record)
        return cls(case_class, interrupts, seeds, cases, case_class.probed if probed else None)

    def halves(self) -> Iterator["Batch"]:
        """Two batches of as many cases, as these are; without probes."""
        middle = len(self.seeds) // 2
        for part in (slice(None, middle), slice(middle, None)):
            yield Batch(self.case_class, self.interrupts, self.seeds[part], self.cases[part], None)


def deal(case_class: CaseClass, seeds: Sequence[int]) -> Iterator[tuple[Interrupts, Sequence[int]]]:
    """Seeds in batches, and how each of these treats interrupts.

    By the seed itself, so that one alone runs as it does among many.
    """
    ways = case_class.interrupts
    for number, way in enumerate(ways):
        chosen = [seed for seed in seeds if seed % len(ways) == number]
        for start in range(0, len(chosen), BATCH):
            yield way, chosen[start : start + BATCH]


def is_svc(outcomes: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which cases ended with an SVC."""
    return np.isin(outcomes["esr"] >> np.uint64(26), [_SVC32, _SVC64])


def ran(batch: Batch, outcomes: NDArray[np.void]) -> NDArray[np.uint64]:
    """Instructions of each case that ran, if it has no branches."""
    distance = outcomes["pc"] - batch.cases["start"]["pc"]
    count: NDArray[np.uint64] = distance // np.uint64(4)
    for index, case in enumerate(batch.cases):
        if set_of(int(case["start"]["pstate"])) is InstructionSet.T32:
            end = int(distance[index])
            count[index] = sum(offset < end for offset, _ in instructions(case))
    # The preferred return address of an SVC is behind it, of a fault the instruction itself.
    return count + (~is_svc(outcomes)).astype(np.uint64)


def wanted_steps(batch: Batch, outcomes: NDArray[np.void]) -> int:
    """Instructions that must have been stepped, handlers included, if it has no branches."""
    handled = _STEPS_OF_HANDLER * outcomes["irqs"] * _steps_handler(batch, outcomes)
    return int((ran(batch, outcomes) + handled).sum()) + _STEPS_AROUND * len(batch.cases)


def _steps_handler(batch: Batch, outcomes: NDArray[np.void]) -> NDArray[np.bool_]:
    """In which cases the handler of an interrupt is stepped, too: always those from EL0."""
    from_el0 = outcomes["irq_pstate"] & np.uint64(15) == 0
    stepped: NDArray[np.bool_] = from_el0 | (batch.interrupts is Interrupts.STEP)
    return stepped
