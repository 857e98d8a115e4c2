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
from stepvisor.conformance.layout import CASE, name_word
from stepvisor.conformance.target import Interrupts, Target

__all__ = ("ClassResult", "Runner")

_STEPS_AROUND = 7
"""Steps of a linear case apart from its own: the exception return to it, six in the vector."""
_STEPS_OF_HANDLER = np.uint64(20)
_SVC = 0x15
_BATCH = 1024


@dataclass
class ClassResult:
    """How one class went."""

    name: str
    cases: int = 0
    steps: int = 0
    """Instructions stepped."""
    exceptions: int = 0
    """Cases that another exception ended than the SVC at their end."""
    failures: list[Failure] = field(default_factory=list)
    skipped: bool = False
    """The CPU cannot do it."""


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
            for start in range(0, len(seeds), _BATCH):
                self._run_batch(case_class, seeds[start : start + _BATCH], result)
                if result.failures:
                    return result
        return result

    def make(self, case_class: CaseClass, seeds: Sequence[int]) -> NDArray[np.void]:
        """The cases with these seeds, an array of CASE."""
        cases = np.zeros(len(seeds), CASE)
        for record, seed in zip(cases, seeds, strict=True):
            draft = Draft(
                Random(f"{case_class.name}/{seed}"), self._guest.descriptor, self.features
            )
            case_class.build(draft)
            draft.store(record)
        return cases

    def _run_batch(self, case_class: CaseClass, seeds: Sequence[int], result: ClassResult) -> None:
        cases = self.make(case_class, seeds)
        before = self._target.stepped
        try:
            outcomes = self._guest.run_cases(cases)
        except StuckError as error:
            result.failures.append(
                self._failure(
                    case_class, cases, seeds, error.index, "did not come to its end", fatal=True
                )
            )
            return
        steps = self._target.stepped - before
        result.cases += len(cases)
        result.steps += steps
        result.exceptions += int((outcomes["esr"] >> np.uint64(26) != _SVC).sum())
        for index in np.flatnonzero(outcomes["difference"]).tolist():
            what = _difference(outcomes[index])
            result.failures.append(self._failure(case_class, cases, seeds, index, what))
        if not result.failures:
            self._check_steps(case_class, cases, outcomes, steps, result)

    def _check_steps(
        self,
        case_class: CaseClass,
        cases: NDArray[np.void],
        outcomes: NDArray[np.void],
        steps: int,
        result: ClassResult,
    ) -> None:
        """Exactly the instructions that ran must have been stepped, each of them once."""
        if not case_class.linear:
            if steps < case_class.least * len(cases):
                what = f"only {steps} instructions of {len(cases)} cases were stepped"
                result.failures.append(Failure(self._cpu, case_class.name, what))
            return
        ran = (outcomes["pc"] - cases["start"]["pc"]) // np.uint64(4)
        # The preferred return address of an SVC is behind it, of a fault the instruction itself.
        ran += (outcomes["esr"] >> np.uint64(26) != _SVC).astype(np.uint64)
        ran += _STEPS_OF_HANDLER * outcomes["irqs"] * self._steps_handler(outcomes)
        wanted = int(ran.sum()) + _STEPS_AROUND * len(cases)
        if steps != wanted:
            what = f"{steps} instructions were stepped, but {wanted} ran"
            result.failures.append(Failure(self._cpu, case_class.name, what))

    def _steps_handler(self, outcomes: NDArray[np.void]) -> NDArray[np.bool_]:
        """In which cases the handler of an interrupt was stepped, too: always those from EL0."""
        from_el0 = outcomes["irq_pstate"] & np.uint64(15) == 0
        stepped: NDArray[np.bool_] = from_el0 | (self._interrupts is Interrupts.STEP)
        return stepped

    def _failure(
        self,
        case_class: CaseClass,
        cases: NDArray[np.void],
        seeds: Sequence[int],
        index: int,
        what: str,
        *,
        fatal: bool = False,
    ) -> Failure:
        case = cases[index]
        return Failure(
            cpu=self._cpu,
            class_name=case_class.name,
            what=what,
            seed=seeds[index],
            words=case["words"][: int(case["count"])].tolist(),
            address=self._guest.descriptor.code + int(case["offset"]),
            fatal=fatal,
        )


def _deal(
    ways: Sequence[Interrupts], seeds: Sequence[int]
) -> Iterator[tuple[Interrupts, Sequence[int]]]:
    """Which seeds run which way: by the seed itself, so one alone runs as it did among many."""
    for number, way in enumerate(ways):
        chosen = [seed for seed in seeds if seed % len(ways) == number]
        if chosen:
            yield way, chosen


def _difference(outcome: np.void) -> str:
    name = name_word(int(outcome["difference"]) - 1)
    native, stepped = int(outcome["native"]), int(outcome["stepped"])
    return f"{name} is 0x{stepped:x} stepped, 0x{native:x} natively"
