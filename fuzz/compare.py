"""Where two runs of a case differ first, down to one action."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bare import Report

from fuzz.case import Case
from fuzz.execute import Outcome, run_monitored, run_natively

__all__ = ("Failure", "check")

_TRIES = 3
"""Runs that look for the action: what the host stirs is never twice the same."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that did not do the same, or not what it counted."""

    case: Case
    lines: tuple[str, ...]

    def __str__(self) -> str:
        """What to do to see it again, and what was seen."""
        return "\n".join([self.case.command(), *(f"  {line}" for line in self.lines)])


def check(
    case: Case,
    monitor: Path | None = None,
    say: Callable[[Outcome], None] = lambda _: None,
    *,
    narrow: bool = True,
) -> Failure | None:
    """Run `case` natively and under the monitor; None when all is the same.

    Unless `narrow` is off, more runs look for the action that differs.
    """
    native = run_natively(case)
    monitored = run_monitored(case, monitor=monitor)
    say(monitored)
    lines = [f"natively: {problem}" for problem in native.problems]
    lines += monitored.problems
    differing = _first_difference(native, monitored)
    if differing:
        vcpu, number = differing
        lines.append(f"vCPU {vcpu} differs after action {number}")
        lines += _narrow(case, vcpu, number, monitor) if narrow else []
    return Failure(case, tuple(lines)) if lines else None


def _first_difference(native: Outcome, monitored: Outcome) -> tuple[int, int] | None:
    """The vCPU and the number of actions of the earliest digest that is not the same in both."""
    keys = sorted(native.digests.keys() | monitored.digests.keys(), key=lambda key: key[::-1])
    return next((k for k in keys if native.digests.get(k) != monitored.digests.get(k)), None)


def _narrow(case: Case, vcpu: int, end: int, monitor: Path | None) -> list[str]:
    """The first action of the interval before `end` that leaves something else."""
    trace = (vcpu, max(end - case.interval, 0), end)
    native = _actions(run_natively(case, trace).report)
    for _ in range(_TRIES):
        monitored = _actions(run_monitored(case, trace, monitor).report)
        for number, wanted in sorted(native.items()):
            got = monitored.get(number, ["nothing"])
            if got != wanted:
                return _describe(number, wanted, got)
    return [f"no action of {trace[1]} to {end} alone leaves something else: memory, or the host"]


def _describe(number: int, wanted: list[str], got: list[str]) -> list[str]:
    """The action in words, and what it left where that differs."""
    lines = [f"action {number}: {wanted[0]}"]
    if got[0] != wanted[0]:
        lines.append(f"  under the monitor: {got[0]}")
    for word in range(1, max(len(wanted), len(got))):
        pair = [words[word] if word < len(words) else "nothing" for words in (wanted, got)]
        if pair[0] != pair[1]:
            lines.append(f"  word {word - 1}: {pair[1]}, natively {pair[0]}")
    return lines


def _actions(report: Report) -> dict[int, list[str]]:
    """Traced actions by number: kind and detail, then all words."""
    found: dict[int, list[str]] = {}
    for line in report.lines("ACTION: "):
        _, number, what = line.split(maxsplit=2)
        found[int(number)] = [what]
    for line in report.lines("WORD: "):
        fields = line.split()
        if int(fields[1]) in found:
            found[int(fields[1])].append(fields[3])
    return found
