"""What a run of the benchmarks found, and its JSON form."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.sampling import Sample

__all__ = (
    "BARE",
    "IDLE",
    "LINUX",
    "STUB",
    "TARGETS",
    "Event",
    "Ratio",
    "Results",
    "Series",
    "write_json",
)

BARE = "bare metal: a loop around one instruction"
LINUX = "Linux: dd bs=1, an event for each vfs_read"
STUB = "QEMU's debugger port, same guest (time of the host)"
IDLE = "Linux, nothing armed (time of the whole workload)"
"""Groups of rows."""

TARGETS = {
    "emulated_hit_vs_bare_smc": 1.3,
    "emulated_hit_vs_kprobe": 0.35,
    "emulated_hit_vs_gdbstub": 0.001,
    "step_vs_bare_step": 1.3,
    "step_vs_gdbstub_step": 0.02,
    "idle_boot": 1.05,
    "idle_dd": 1.05,
    "idle_cpu": 1.05,
    "idle_ipi": 1.5,
    "hit_60000_probes_vs_1": 1.1,
    "predicate_reject_vs_bare_smc": 1.2,
}
"""Every key of ``ratios``, and the most that it may be."""


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the table: what one event costs."""

    group: str
    what: str
    seconds: Sample | None
    """Of one event; None when it was not measured, and `note` says why."""
    slowdown: Sample | None = None
    """Of the guest's workload, against the same without events."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One of the numbers to reach."""

    value: float
    low: float
    high: float

    @classmethod
    def paired(cls, over: Sample, under: Sample) -> "Ratio":
        """Of samples that took turns: the median of the ratios of each round."""
        ratio = over / under
        return cls(ratio.median, *ratio.spread)

    @classmethod
    def of_medians(cls, over: Sample, under: Sample) -> "Ratio":
        """Of samples from different parts of a run."""
        (low, high), (least, most) = over.spread, under.spread
        return cls(over.median / under.median, low / most, high / least)


@dataclass(frozen=True, slots=True)
class Series:
    """A curve: seconds of one event against something."""

    title: str
    axis: str
    curves: dict[str, dict[int, Sample]]
    """By name: x to seconds."""


@dataclass(slots=True)
class Results:
    """Grows while the benchmarks run."""

    events: list[Event] = field(default_factory=list)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    series: list[Series] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: dict[str, Sample] = field(default_factory=dict)
    """What a later part compares with."""

    def add(
        self,
        group: str,
        what: str,
        seconds: Sample | None,
        slowdown: Sample | None = None,
        note: str = "",
    ) -> None:
        """A row."""
        self.events.append(Event(group, what, seconds, slowdown, note))

    def add_series(self, series: Series) -> None:
        """A curve, and a row for each of its points."""
        self.series.append(series)
        for name, points in series.curves.items():
            for x, seconds in points.items():
                self.add(f"by {series.title}", f"{name}: {x:,}", seconds)

    def rows(self) -> list[Event]:
        """The events, those of a group together."""
        groups = list(dict.fromkeys(event.group for event in self.events))
        return sorted(self.events, key=lambda event: groups.index(event.group))

    def missed(self) -> list[str]:
        """Ratios above their target."""
        return [key for key, ratio in self.ratios.items() if ratio.value > TARGETS[key]]

    def problems(self) -> list[str]:
        """Ratios that are not there, or are no positive numbers."""
        missing = [key for key in TARGETS if key not in self.ratios]
        wrong = [k for k, r in self.ratios.items() if not (0 < r.value < math.inf)]
        return missing + wrong


def write_json(path: Path, results: Results, machine: dict[str, str]) -> None:
    """Write everything; `machine` says on what it was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine,
        "ratios": {key: results.ratios[key].value for key in TARGETS if key in results.ratios},
        "spread": {key: [r.low, r.high] for key, r in results.ratios.items()},
        "targets": TARGETS,
        "events": [_event(event) for event in results.rows()],
        "series": [_series(series) for series in results.series],
        "notes": results.notes,
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _event(event: Event) -> dict[str, Any]:
    return {
        "group": event.group,
        "what": event.what,
        "seconds": _sample(event.seconds),
        "slowdown": _sample(event.slowdown),
        "note": event.note,
    }


def _series(series: Series) -> dict[str, Any]:
    curves = {
        name: {str(x): _sample(sample) for x, sample in curve.items()}
        for name, curve in series.curves.items()
    }
    return {"title": series.title, "axis": series.axis, "seconds": curves}


def _sample(sample: Sample | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    low, high = sample.spread
    return {"median": sample.median, "low": low, "high": high, "values": list(sample.values)}
