"""Run classes on one machine and judge what comes back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from stepvisor.conformance.classes import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.failure import Failure
from stepvisor.conformance.features import Feature, detect
from stepvisor.conformance.guest import ConformanceGuest, StuckError
from stepvisor.conformance.layout import BATCH, CASE, name_word
from stepvisor.conformance.probing import Probed, run_probed
from stepvisor.conformance.target import Interrupts, Target, Trap

__all__ = ("ClassResult", "Runner")

_STEPS_AROUND = 7
"""Steps of a linear case apart from its own: the exception return to it, six in the vector."""
_STEPS_OF_HANDLER = np.uint64(20)
_SVC = 0x15


@dataclass
class ClassResult:
    """How one class went."""

    name: str
    cases: int = 0
    steps: int = 0
    """Instructions stepped."""
    emulated: int = 0
    """Instructions under probes that were performed in place of the core,"""
    displaced: int = 0
    """and stepped."""
    exceptions: int = 0
    """Cases that another exception ended than the SVC at their end."""
    failures: list[Failure] = field(default_factory=list)
    skipped: bool = False
    """The CPU cannot do it."""


@dataclass(frozen=True)
class _Batch:
    """Cases that are run together."""

    case_class: CaseClass
    seeds: Sequence[int]
    cases: NDArray[np.void]
    """CASE of each."""
    probed: Trap | None


class Runner:
    """Runs classes in one guest."""

    def __init__(self, cpu: str, target: Target, guest: ConformanceGuest) -> None:
        """`guest` runs under `target`."""
        self._cpu = cpu
        self._target = target
        self._guest = guest
        self._interrupts = Interrupts.STEP
        self.features: Feature = detect(guest.identification)

    def run(self, case_class: CaseClass, seed: int, count: int) -> ClassResult:
        """Run `count` cases with seeds from `seed` on; stops at the first batch with failures."""
        result = ClassResult(case_class.name)
        if case_class.needs not in self.features:
            result.skipped = True
            return result
        self._target.report_calls(on=case_class.calls)
        for way, seeds in _deal(case_class.interrupts, range(seed, seed + count)):
            self._target.set_interrupts(way)
            self._interrupts = way
            for start in range(0, len(seeds), BATCH):
                self._run_batch(self._batch(case_class, seeds[start : start + BATCH]), result)
                if result.failures:
                    return result
        return result

    def _batch(self, case_class: CaseClass, seeds: Sequence[int]) -> _Batch:
        probed = case_class.probed if self._target.probes else None
        cases = np.zeros(len(seeds), CASE)
        for record, seed in zip(cases, seeds, strict=True):
            # By the seed alone, and no two of a batch in one place.
            place = None if probed is None else seed // len(case_class.interrupts) % BATCH
            random = Random(f"{case_class.name}/{seed}")
            draft = Draft(random, self._guest.descriptor, self.features, place)
            case_class.build(draft)
            draft.store(record)
        return _Batch(case_class, seeds, cases, probed)

    def _run_batch(self, batch: _Batch, result: ClassResult) -> None:
        before = self._target.stepped
        try:
            outcomes = self._guest.run_cases(batch.cases, keep=batch.probed is not None)
            steps = self._target.stepped - before
            result.cases += len(batch.cases)
            result.steps += steps
            result.exceptions += int((outcomes["esr"] >> np.uint64(26) != _SVC).sum())
            self._compare(batch, outcomes, "stepped", result)
            if not result.failures:
                self._check_steps(batch, outcomes, steps, result)
            if not result.failures and batch.probed is not None:
                self._run_probed(batch, batch.probed, outcomes, result)
        except StuckError as error:
            what = "did not come to its end"
            result.failures.append(self._failure(batch, error.index, what, fatal=True))

    def _run_probed(
        self, batch: _Batch, trap: Trap, outcomes: NDArray[np.void], result: ClassResult
    ) -> None:
        probed = run_probed(self._target, self._guest, batch.cases, trap)
        result.emulated += probed.counts.performed
        result.displaced += probed.counts.stepped
        self._compare(batch, probed.results, "under probes", result)
        if not result.failures:
            self._check_hits(batch, outcomes, probed, result)

    def _compare(
        self, batch: _Batch, outcomes: NDArray[np.void], how: str, result: ClassResult
    ) -> None:
        for index in np.flatnonzero(outcomes["difference"]).tolist():
            what = _difference(outcomes[index], how)
            result.failures.append(self._failure(batch, index, what))

    def _check_steps(
        self, batch: _Batch, outcomes: NDArray[np.void], steps: int, result: ClassResult
    ) -> None:
        """Exactly the instructions that ran must have been stepped, each of them once."""
        case_class, count = batch.case_class, len(batch.cases)
        if not case_class.linear:
            if steps < case_class.least * count:
                what = f"only {steps} instructions of {count} cases were stepped"
                result.failures.append(Failure(self._cpu, case_class.name, what))
            return
        ran = _ran(batch.cases, outcomes)
        ran += _STEPS_OF_HANDLER * outcomes["irqs"] * self._steps_handler(outcomes)
        wanted = int(ran.sum()) + _STEPS_AROUND * count
        if steps != wanted:
            what = f"{steps} instructions were stepped, but {wanted} ran"
            result.failures.append(Failure(self._cpu, case_class.name, what))

    def _check_hits(
        self, batch: _Batch, outcomes: NDArray[np.void], probed: Probed, result: ClassResult
    ) -> None:
        """Likewise, every instruction that ran must have hit its probe."""
        hits, ran = probed.hits_of_cases(), _ran(batch.cases, outcomes).astype(np.int64)
        wrong = hits != ran if batch.case_class.linear else hits == 0
        for index in np.flatnonzero(wrong & probed.is_probed()).tolist():
            wanted = ran[index] if batch.case_class.linear else "more"
            what = f"{hits[index]} probes were hit, but {wanted} instructions ran"
            result.failures.append(self._failure(batch, index, what))
        what_else = probed.wrong()
        if what_else is not None:
            result.failures.append(Failure(self._cpu, batch.case_class.name, what_else))

    def _steps_handler(self, outcomes: NDArray[np.void]) -> NDArray[np.bool_]:
        """In which cases the handler of an interrupt was stepped, too: always those from EL0."""
        from_el0 = outcomes["irq_pstate"] & np.uint64(15) == 0
        stepped: NDArray[np.bool_] = from_el0 | (self._interrupts is Interrupts.STEP)
        return stepped

    def _failure(self, batch: _Batch, index: int, what: str, *, fatal: bool = False) -> Failure:
        case = batch.cases[index]
        return Failure(
            cpu=self._cpu,
            class_name=batch.case_class.name,
            what=what,
            seed=batch.seeds[index],
            words=case["words"][: int(case["count"])].tolist(),
            address=self._guest.descriptor.code + int(case["offset"]),
            fatal=fatal,
        )


def _ran(cases: NDArray[np.void], outcomes: NDArray[np.void]) -> NDArray[np.uint64]:
    """Instructions of each case that ran, if it has no branches."""
    ran: NDArray[np.uint64] = (outcomes["pc"] - cases["start"]["pc"]) // np.uint64(4)
    # The preferred return address of an SVC is behind it, of a fault the instruction itself.
    ran += (outcomes["esr"] >> np.uint64(26) != _SVC).astype(np.uint64)
    return ran


def _deal(
    ways: Sequence[Interrupts], seeds: Sequence[int]
) -> Iterator[tuple[Interrupts, Sequence[int]]]:
    """Which seeds run which way: by the seed itself, so one alone runs as it did among many."""
    for number, way in enumerate(ways):
        chosen = [seed for seed in seeds if seed % len(ways) == number]
        if chosen:
            yield way, chosen


def _difference(outcome: np.void, how: str) -> str:
    name = name_word(int(outcome["difference"]) - 1)
    native, other = int(outcome["native"]), int(outcome["other"])
    return f"{name} is 0x{other:x} {how}, 0x{native:x} natively"
