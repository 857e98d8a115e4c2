"""Runs of the suite as jobs for other processes: one for each test."""

import multiprocessing
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from builds import Builds

from stepvisor.conformance.suite import QUICK_COUNT, Plan, SuiteResult, run_suite
from stepvisor.errors import GuestError, MonitorError

__all__ = ("Job", "Jobs", "Model", "Mutant")


class Job:
    """What a test wants to have run."""

    def run(self, builds: Builds) -> Any:
        """Its result."""
        raise NotImplementedError


@dataclass(frozen=True)
class Model(Job):
    """Everything on one model."""

    cpu: str

    def run(self, builds: Builds) -> SuiteResult:
        """The quick form."""
        plan = Plan(self.cpu, 1, QUICK_COUNT, monitor=builds.monitor, image=builds.guest)
        return run_suite(plan)


@dataclass(frozen=True)
class Mutant(Job):
    """A broken monitor: which rule, how it is broken, and the class that must see it."""

    rule: str
    changes: Mapping[str, tuple[str, str]] = field(hash=False)
    seen_by: str
    cpu: str = "cortex-a57"

    def run(self, builds: Builds) -> tuple[SuiteResult, SuiteResult] | str:
        """That class alone, and what failed first once more, in a new machine.

        A monitor that does not even start says why.
        """
        plan = Plan(
            self.cpu,
            seed=1,
            count=300,
            only=frozenset({self.seen_by}),
            monitor=builds.mutate(self.rule.replace(" ", "-"), self.changes),
            image=builds.guest,
            patience=5,
        )
        try:
            result = run_suite(plan)
        except (MonitorError, GuestError) as error:
            return str(error)
        if not result.failures:
            return result, result
        first = result.failures[0]
        seed = first.since or first.seed or plan.seed
        return result, run_suite(replace(plan, seed=seed, count=first.count))


class Jobs:
    """All jobs of the tests that were selected, as many at a time as there are processors."""

    def __init__(self, builds: Builds, jobs: Iterable[Job]) -> None:
        """Start them, in this order."""
        # Not by fork: this process may have threads.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(os.cpu_count(), mp_context=context)
        self._futures: dict[Job, Future[Any]] = {
            job: self._pool.submit(job.run, builds) for job in dict.fromkeys(jobs)
        }

    def result(self, job: Job) -> Any:
        """Wait for one."""
        return self._futures[job].result()

    def close(self) -> None:
        """Drop what has not begun."""
        self._pool.shutdown(cancel_futures=True)
