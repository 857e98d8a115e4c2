"""Case after case until the time is over."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fuzz.case import Case, Way
from fuzz.compare import Failure, check
from stepvisor.machine.config import DEFAULT_CPU

__all__ = ("CPUS", "WAYS", "Result", "run_campaign")

CPUS: Final = ("cortex-a57", DEFAULT_CPU)

_ACTIONS: Final = {
    Way.FREE: 40_000,
    Way.PROBED: 20_000,
    Way.STIRRED: 20_000,
    Way.TABLES: 2_000,
    Way.STEPPED: 400,
}
"""Of each vCPU: some seconds at most."""

WAYS: Final = (Way.FREE, Way.PROBED, Way.STIRRED, Way.STEPPED)
"""Not TABLES: each fetch whose tables share a page with a probe is an exit, which takes minutes."""

_MOST_FAILURES = 5
"""More tell nothing new."""


@dataclass
class Result:
    """What was seen."""

    actions: dict[str, int] = field(default_factory=dict)
    """Done under the monitor and compared, by CPU model."""
    hits: int = 0
    failures: list[Failure] = field(default_factory=list)


def run_campaign(
    *,
    seed: int,
    seconds: float,
    cpus: Sequence[str] = CPUS,
    ways: Sequence[Way] = WAYS,
    actions: int | None = None,
    monitor: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Cases drawn from `seed`, on each of `cpus` in turn, in each of `ways`.

    A case that has begun comes to its end. One native run serves all ways with as many actions.
    """
    source = random.Random(seed)
    result = Result()
    end = time.monotonic() + seconds
    while True:
        for cpu in cpus:
            base = Case(source.getrandbits(32), cpu, source.randint(1, 4), 0, Way.FREE)
            for way in ways:
                case = replace(base, way=way, actions=(actions or _ACTIONS[way]) // base.vcpus)
                _run(case, monitor, result, say)
                if time.monotonic() > end or len(result.failures) >= _MOST_FAILURES:
                    return result


def _run(case: Case, monitor: Path | None, result: Result, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    hits = result.hits

    def note(hits: int) -> None:
        result.hits += hits

    failure = check(case, monitor, lambda outcome: note(outcome.hits))
    done = case.actions * case.vcpus
    result.actions[case.cpu] = result.actions.get(case.cpu, 0) + done
    say(
        f"{case.command()}: {done} actions, {result.hits - hits} hits,"
        f" {time.monotonic() - started:.1f} s"
    )
    if failure is not None:
        result.failures.append(failure)
