"""The whole suite on one CPU model: every class, then every scenario."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from stepvisor.conformance.classes import CLASSES, CaseClass
from stepvisor.conformance.el2_target import El2Target
from stepvisor.conformance.failure import Failure
from stepvisor.conformance.guest import PATIENCE, ConformanceGuest, StuckError, find_image
from stepvisor.conformance.runner import ClassResult, Runner
from stepvisor.conformance.scenarios import SCENARIOS, Scenario
from stepvisor.conformance.target import Target
from stepvisor.errors import (
    GuestError,
    InputError,
    MachineError,
    MonitorError,
    StepvisorError,
)

__all__ = (
    "FULL_COUNT",
    "MODELS",
    "QUICK_COUNT",
    "Plan",
    "SuiteResult",
    "check_names",
    "names",
    "run_suite",
)

MODELS = ("cortex-a57", "cortex-a72", "neoverse-n1", "max,pauth-impdef=on")
"""Without and with atomics, pointer authentication and landing pads."""

QUICK_COUNT = 600
"""Cases of a class: with four models, over a million stepped instructions in all."""
FULL_COUNT = 10 * QUICK_COUNT


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    cpu: str
    seed: int
    count: int = QUICK_COUNT
    """Cases of a class with a share of one; scenarios are scaled alike."""
    only: frozenset[str] = frozenset()
    """Classes and scenarios by name; none means all."""
    monitor: Path | None = None
    """Another build of the monitor."""
    image: bytes | None = None
    """Another build of the guest."""
    patience: float = PATIENCE
    """Seconds without progress after which a case counts as stuck."""

    def wants(self, name: str) -> bool:
        """Whether this class or scenario is to be run."""
        return not self.only or name in self.only

    def target(self) -> Target:
        """A new machine. Another hypervisor goes in here."""
        return El2Target(self.cpu, vcpus=2, monitor=self.monitor)


@dataclass
class SuiteResult:
    """How it went."""

    cpu: str
    results: list[ClassResult] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Instructions stepped in all."""
        return sum(result.steps for result in self.results)

    @property
    def emulated(self) -> int:
        """Instructions under probes that were performed in place of the core, in all."""
        return sum(result.emulated for result in self.results)

    @property
    def displaced(self) -> int:
        """Instructions under probes that were stepped, in all."""
        return sum(result.displaced for result in self.results)

    @property
    def failures(self) -> list[Failure]:
        """All of them."""
        return [failure for result in self.results for failure in result.failures]


def names() -> list[str]:
    """Of all classes and scenarios."""
    return [c.name for c in CLASSES] + [s.name for s in SCENARIOS]


def check_names(wanted: Iterable[str]) -> None:
    """Nothing, if all of them exist.

    :raise InputError: Else.
    """
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        message = f"no class or scenario is called {unknown[0]!r}; `--list` shows their names"
        raise InputError(message)


def run_suite(plan: Plan, report: Callable[[ClassResult], None] = lambda _: None) -> SuiteResult:
    """Run it; `report` gets every class when it is done.

    :raise InputError: When `plan.only` names what does not exist.
    :raise StepvisorError: When the machine does not even start.
    """
    check_names(plan.only)
    result = SuiteResult(plan.cpu)
    with _Session(plan) as session:
        for done in session.run_all():
            result.results.append(done)
            report(done)
    return result


class _Session:
    """A guest, and another one when it is lost."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._image = plan.image or find_image()
        self._target: Target
        self._guest: ConformanceGuest
        self._runner: Runner
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._target.__exit__(kind, error, trace)

    def run_all(self) -> Iterator[ClassResult]:
        """All that the plan asks for, one after the other."""
        for case_class in CLASSES:
            if self._plan.wants(case_class.name):
                yield self.run_class(case_class)
        for scenario in SCENARIOS:
            if self._plan.wants(scenario.name):
                yield self.run_scenario(scenario)

    def run_class(self, case_class: CaseClass) -> ClassResult:
        """One class; whatever happens to the guest is its failure."""
        count = max(int(self._plan.count * case_class.share), 1)
        if case_class.fresh:
            self._restart()
        result = self._run(case_class, self._plan.seed, count)
        if result.failures:
            self._restart()
            result.failures = self._pin_down(case_class, result.failures)
        return result

    def _run(self, case_class: CaseClass, seed: int, count: int) -> ClassResult:
        try:
            return self._runner.run(case_class, seed, count)
        except (MachineError, MonitorError, GuestError) as error:
            what = f"the guest was lost: {error}"
            lost = Failure(self._plan.cpu, case_class.name, what, fatal=True)
            return ClassResult(case_class.name, failures=[lost])

    def _pin_down(self, case_class: CaseClass, failures: list[Failure]) -> list[Failure]:
        """As they are if the first comes again in a new machine; else with all that ran before."""
        seed = failures[0].seed
        if seed is not None and self._run(case_class, seed, 1).failures:
            self._restart()
            return failures
        plan = self._plan
        return [replace(failure, since=plan.seed, count=plan.count) for failure in failures]

    def run_scenario(self, scenario: Scenario) -> ClassResult:
        """One scenario."""
        result = ClassResult(scenario.name, cases=1)
        before = self._target.stepped
        self._target.set_interrupts(scenario.interrupts)
        factor = self._plan.count / QUICK_COUNT
        try:
            numbers = self._guest.run_scenario(scenario.number, scenario.scaled_by(factor))
        except StepvisorError as error:
            what = "did not come to its end" if isinstance(error, StuckError) else str(error)
            result.failures.append(self._failure(scenario, what, fatal=True))
            self._restart()
            return result
        result.steps = self._target.stepped - before
        self._judge(scenario, numbers, result)
        return result

    def _judge(self, scenario: Scenario, numbers: Sequence[int], result: ClassResult) -> None:
        wrong = scenario.judge(numbers)
        if wrong is None and result.steps < scenario.least_steps:
            wrong = f"only {result.steps} instructions were stepped"
        if wrong is not None:
            result.failures.append(self._failure(scenario, wrong))

    def _failure(self, scenario: Scenario, what: str, *, fatal: bool = False) -> Failure:
        plan = self._plan
        return Failure(plan.cpu, scenario.name, what, count=plan.count, fatal=fatal)

    def _start(self) -> None:
        self._target = self._plan.target()
        try:
            self._guest = ConformanceGuest(self._target, self._image, self._plan.patience)
        except BaseException:
            self._target.__exit__(None, None, None)
            raise
        self._runner = Runner(self._plan.cpu, self._target, self._guest)

    def _restart(self) -> None:
        self._target.__exit__(None, None, None)
        self._start()
