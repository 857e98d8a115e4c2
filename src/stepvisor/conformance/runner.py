"""Run classes on one machine and judge what comes back."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepvisor.conformance.aarch32 import instructions, set_of
from stepvisor.conformance.batch import Batch, deal, is_svc, ran, wanted_steps
from stepvisor.conformance.classes import CaseClass
from stepvisor.conformance.failure import Failure
from stepvisor.conformance.features import Feature, detect
from stepvisor.conformance.guest import ConformanceGuest, StuckError
from stepvisor.conformance.layout import name_word
from stepvisor.conformance.probing import How, Probed, run_probed
from stepvisor.conformance.target import Target, Trap

__all__ = ("ClassResult", "Runner")

_STUCK = "did not come to its end"


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


class Runner:
    """Runs classes in one guest."""

    def __init__(self, cpu: str, target: Target, guest: ConformanceGuest) -> None:
        """`guest` runs under `target`."""
        self._cpu = cpu
        self._target = target
        self._guest = guest
        self.features: Feature = detect(guest.identification)

    def run(self, case_class: CaseClass, seed: int, count: int) -> ClassResult:
        """Run `count` cases with seeds from `seed` on; stops at the first batch with failures."""
        result = ClassResult(case_class.name)
        if case_class.needs not in self.features:
            result.skipped = True
            return result
        self._target.report_calls(on=case_class.calls)
        probed, code = self._target.probes > 0, self._guest.descriptor
        for way, seeds in deal(case_class, range(seed, seed + count)):
            self._target.set_interrupts(way)
            batch = Batch.make(case_class, way, seeds, code, self.features, probed=probed)
            self._run_batch(batch, result)
            if result.failures:
                break
        return result

    def _run_batch(self, batch: Batch, result: ClassResult) -> None:
        before = self._target.stepped
        try:
            outcomes = self._guest.run_cases(batch.cases, keep=batch.probed is not None)
            steps = self._target.stepped - before
            result.cases += len(batch.cases)
            result.steps += steps
            result.exceptions += int((~is_svc(outcomes)).sum())
            self._compare(batch, outcomes, "stepped", result)
            if not result.failures and _wrong_steps(batch, outcomes, steps):
                result.failures.append(self._miscounted(batch, outcomes, steps))
            if not result.failures and batch.probed is not None:
                self._run_probed(batch, batch.probed, outcomes, result)
        except StuckError as error:
            result.failures.append(self._failure(batch, error.index, _STUCK, fatal=True))

    def _run_probed(
        self, batch: Batch, trap: Trap, outcomes: NDArray[np.void], result: ClassResult
    ) -> None:
        for probed in run_probed(self._target, self._guest, batch.cases, trap):
            if probed.how is How.FREELY:
                result.emulated += probed.counts.performed
                result.displaced += probed.counts.stepped
            result.steps += probed.steps
            self._compare(batch, probed.results, probed.how.value, result)
            if not result.failures:
                self._check_hits(batch, outcomes, probed, result)

    def _compare(
        self, batch: Batch, outcomes: NDArray[np.void], how: str, result: ClassResult
    ) -> None:
        for index in np.flatnonzero(outcomes["difference"]).tolist():
            what = _difference(outcomes[index], how)
            result.failures.append(self._failure(batch, index, what))

    def _check_hits(
        self, batch: Batch, outcomes: NDArray[np.void], probed: Probed, result: ClassResult
    ) -> None:
        """Every instruction that ran must have hit its probe."""
        linear = batch.case_class.linear
        hits, wanted = probed.hits_of_cases(), ran(batch, outcomes).astype(np.int64)
        started = outcomes["pc"] != batch.cases["start"]["pc"]
        wrong = (hits != wanted if linear else (hits == 0) & started) & probed.is_probed()
        for index in np.flatnonzero(wrong).tolist():
            number = wanted[index] if linear else "more"
            what = f"{hits[index]} probes were hit, but {number} instructions ran"
            result.failures.append(self._failure(batch, index, what))
        what_else = probed.wrong()
        if what_else is None and probed.how is How.STEPPED:
            what_else = _wrong_steps(batch, outcomes, probed.steps)
        if what_else:
            result.failures.append(self._failure(batch, None, f"{probed.how.value}: {what_else}"))

    def _miscounted(self, batch: Batch, outcomes: NDArray[np.void], steps: int) -> Failure:
        """The number of steps is wrong: of which case, as far as that can be said."""
        while len(batch.seeds) > 1:
            for part in batch.halves():
                before = self._target.stepped
                try:
                    again = self._guest.run_cases(part.cases)
                except StuckError as error:
                    return self._failure(part, error.index, _STUCK, fatal=True)
                taken = self._target.stepped - before
                if _wrong_steps(part, again, taken):
                    batch, outcomes, steps = part, again, taken
                    break
            else:  # each of them does it right without the others
                break
        index = None if len(batch.seeds) > 1 else 0
        return self._failure(batch, index, _wrong_steps(batch, outcomes, steps))

    def _failure(
        self, batch: Batch, index: int | None, what: str, *, fatal: bool = False
    ) -> Failure:
        """Of one case, or of the whole batch."""
        name = batch.case_class.name
        if index is None:
            return Failure(self._cpu, name, what, fatal=fatal)
        case = batch.cases[index]
        return Failure(
            cpu=self._cpu,
            class_name=name,
            what=what,
            seed=batch.seeds[index],
            words=[word for _, word in instructions(case)],
            instruction_set=set_of(int(case["start"]["pstate"])),
            address=self._guest.descriptor.code + int(case["offset"]),
            fatal=fatal,
        )


def _wrong_steps(batch: Batch, outcomes: NDArray[np.void], steps: int) -> str:
    """Exactly the instructions that ran must have been stepped, each once; else what is wrong."""
    case_class, count = batch.case_class, len(batch.cases)
    if not case_class.linear:
        right = steps >= case_class.least * count
        return "" if right else f"only {steps} instructions of {count} cases were stepped"
    wanted = wanted_steps(batch, outcomes)
    return "" if steps == wanted else f"{steps} instructions were stepped, but {wanted} ran"


def _difference(outcome: np.void, how: str) -> str:
    name = name_word(int(outcome["difference"]) - 1)
    native, other = int(outcome["native"]), int(outcome["other"])
    return f"{name} is 0x{other:x} {how}, 0x{native:x} natively"
