"""Run a case natively and under the monitor."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bare import Report, build_payload, run_native

from fuzz.case import Case
from fuzz.guest import PAYLOAD, FuzzGuest
from fuzz.stir import Probes
from stepvisor.errors import StepvisorError

__all__ = ("Outcome", "run_monitored", "run_natively")

_COUNTERS = (
    *("exits", "hits", "steps", "data_steps", "data_reads", "trace_steps", "emulated"),
    *("derailed", "astray", "lost", "exclusives", "interrupts", "reflected"),
)

_SECONDS = 400.0
"""For one run of a case, on a loaded machine."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    report: Report
    digests: Mapping[tuple[int, int], str]
    """By vCPU and number of actions."""
    problems: tuple[str, ...]
    """What is wrong whatever the other run says."""
    hits: int = 0
    """Hits that were compared with the guest's own count."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """What the monitor did."""


def run_natively(case: Case, trace: tuple[int, int, int] = (0, 0, 0)) -> Outcome:
    """On the bare machine: the oracle. `trace` is a vCPU and its actions, from and up to."""
    return _run_natively(case.cpu, case.vcpus, tuple(_variables(case, trace).items()))


@functools.lru_cache(maxsize=4)
def _run_natively(cpu: str, vcpus: int, variables: tuple[tuple[str, int], ...]) -> Outcome:
    payload = build_payload(PAYLOAD)
    report = run_native(payload, cpu=cpu, vcpus=vcpus, variables=dict(variables), seconds=_SECONDS)
    return Outcome(report, _digests(report), tuple(report.failures))


def run_monitored(
    case: Case, trace: tuple[int, int, int] = (0, 0, 0), monitor: Path | None = None
) -> Outcome:
    """Under the monitor, the host doing what the case's way says."""
    with FuzzGuest(case, _variables(case, trace), monitor) as guest:
        probes = Probes(guest, case.vcpus, case.way, case.seed)
        try:
            probes.start()
            guest.run(probes.turn, _SECONDS)
            probes.finish()
            counters = _counters(guest)
            guest.go()
            report = guest.finish()
        except StepvisorError as error:
            report = Report(guest.text)
            return Outcome(report, _digests(report), (str(error), *report.failures[:-1]))
    wrong = [
        f"{name}: {counters[name]}" for name in ("derailed", "astray", "lost") if counters[name]
    ]
    return Outcome(
        report,
        _digests(report),
        (*report.failures, *probes.problems, *wrong),
        probes.checked,
        counters,
    )


def _variables(case: Case, trace: tuple[int, int, int]) -> dict[str, int]:
    names = ("trace_cpu", "trace_from", "trace_to")
    return case.variables() | dict(zip(names, trace, strict=True))


def _digests(report: Report) -> dict[tuple[int, int], str]:
    rows = [line.split() for line in report.lines("DIGEST: ")]
    return {(int(row[0]), int(row[1])): row[2] for row in rows if len(row) == 3}


def _counters(guest: FuzzGuest) -> dict[str, int]:
    return {name: guest.total(name) for name in _COUNTERS}
