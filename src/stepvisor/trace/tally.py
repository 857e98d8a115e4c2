"""What the programs of a trace have counted since it began."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stepvisor.errors import ExpressionError
from stepvisor.monitor.interface import Backend, ProbeRequest
from stepvisor.monitor.program import COUNTERS, HISTOGRAMS
from stepvisor.probe.program import HitProgram
from stepvisor.trace.histogram import Histogram

__all__ = ("TraceTally", "with_programs")


def with_programs(
    backend: Backend, probes: Sequence[ProbeRequest], asked: HitProgram
) -> tuple[ProbeRequest, ...]:
    """`probes` with a program each; they share one unless each has counters of its own.

    :raise ExpressionError: When there are more counters or histograms than the monitor keeps.
    """
    _check(len(probes), len(asked.counters), COUNTERS, "counter")
    _check(len(probes), len(asked.charts), HISTOGRAMS, "histogram")
    if not asked.counters and not asked.charts:
        number = backend.load_program(asked.program())
        return tuple(replace(probe, program=number) for probe in probes)
    return tuple(
        replace(
            probe,
            program=backend.load_program(
                asked.program(place * len(asked.counters), place * len(asked.charts))
            ),
        )
        for place, probe in enumerate(probes)
    )


class TraceTally:
    """Reads what was counted, from its construction on."""

    def __init__(self, backend: Backend, probes: Sequence[ProbeRequest], asked: HitProgram) -> None:
        self._backend = backend
        self._probes = tuple(probes)
        self._asked = asked
        self._start = self._read()
        self._stop: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def stop(self) -> None:
        """Take the last look; nothing is counted any more."""
        self._stop = self._read()

    def hits(self) -> dict[str, int]:
        """Hits that the predicate let through, by probe."""
        probes = self._now()[0]
        return {probe.label: int(probes[probe.slot]) for probe in self._probes}

    def counts(self) -> dict[str, dict[str, int]]:
        """By condition and probe: hits at which the condition held."""
        counters, names = self._now()[1], self._asked.counters
        return {
            text: {
                probe.label: int(counters[place * len(names) + number])
                for place, probe in enumerate(self._probes)
            }
            for number, text in enumerate(names)
        }

    def histograms(self) -> dict[str, dict[str, Histogram]]:
        """By expression and probe."""
        rows, names = self._now()[2], self._asked.charts
        return {
            text: {
                probe.label: Histogram(tuple(rows[place * len(names) + number].tolist()))
                for place, probe in enumerate(self._probes)
            }
            for number, text in enumerate(names)
        }

    def _now(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        now = self._stop if self._stop is not None else self._read()
        probes, counters, histograms = (a - b for a, b in zip(now, self._start, strict=True))
        return probes, counters, histograms

    def _read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        tallies = self._backend.tallies
        return tallies.probes(), tallies.counters(), tallies.histograms()


def _check(probes: int, each: int, limit: int, what: str) -> None:
    if probes * each > limit:
        raise ExpressionError(
            f"{each} {what}{'s' if each > 1 else ''} for each of {probes} probes are"
            f" {probes * each}; the monitor keeps {limit}: probe less at a time"
        )
