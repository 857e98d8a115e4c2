"""A trace as lines for people."""

from collections.abc import Mapping

from stepvisor.probe.many import names_by_reason
from stepvisor.trace.histogram import Histogram
from stepvisor.trace.hit import Batch
from stepvisor.trace.summary import Summary

__all__ = ("HEADER", "format_batch", "format_summary")

_SHOWN = 30
"""Probes in a summary; of more, those with most hits."""

HEADER = "      TIME  CPU  EVENT\n"

_LINE = "%10.6f %4d  %s x0=%#x x1=%#x x2=%#x x3=%#x x4=%#x x5=%#x\n"


def format_batch(batch: Batch) -> str:
    """One line per hit: seconds since boot, vCPU, probe, x0 to x5 or what is captured."""
    if batch.layout is not None:
        return "".join([f"{hit}\n" for hit in batch])
    rows = zip(
        batch.time.tolist(), batch.vcpu.tolist(), batch.symbol, batch.x.tolist(), strict=True
    )
    return "".join([_LINE % (time, vcpu, symbol, *x) for time, vcpu, symbol, x in rows])


def format_tallies(
    counts: Mapping[str, Mapping[str, int]], histograms: Mapping[str, Mapping[str, Histogram]]
) -> str:
    """Conditions with their counts, values with their histograms."""
    lines = [
        f"{probe} where {condition}: {_count(number, 'hit')}"
        for condition, numbers in counts.items()
        for probe, number in numbers.items()
    ]
    for expression, charts in histograms.items():
        for probe, chart in charts.items():
            lines.append(f"{expression} at {probe}:")
            lines.append(str(chart) if chart.total else "no hits")
    return "".join([f"{line}\n" for line in lines])


def format_summary(summary: Summary) -> str:
    """Hits per probe, then all of them, lost ones, and the guest's run time."""
    shown = summary.hits
    if len(shown) > _SHOWN:
        most = sorted(shown.items(), key=lambda item: item[1], reverse=True)
        shown = {name: hits for name, hits in most[:_SHOWN] if hits}
    width = max((len(name) for name in shown), default=0)
    lines = [f"{name:<{width}}  {_count(hits, 'hit')}" for name, hits in shown.items()]
    if len(shown) < len(summary.hits):
        hit = sum(1 for hits in summary.hits.values() if hits)
        lines.append(f"... {hit:,} of {_count(len(summary.hits), 'probe')} were hit")
    lines.append(
        f"{_count(summary.total, 'hit')}, {summary.lost:,} lost,"
        f" {summary.seconds:.3f} s of guest run time"
    )
    lines += [
        f"{name} was not in memory at {_count(number, 'hit')}: a program's page is not there"
        " before it is touched; a probe further on finds it"
        for name, number in summary.missing.items()
    ]
    lines += _format_fates(summary)
    if summary.derailed or summary.astray:
        lines.append(
            f"WARNING: {summary.derailed} steps ended in an interrupt handler,"
            f" {summary.astray} elsewhere than their instruction leads: please report this"
        )
    return "\n".join(lines) + "\n"


def _format_fates(summary: Summary) -> list[str]:
    """Probes that did not simply stand where they were asked for."""
    lines = [
        f"{name}: the guest replaced its instruction {_count(number, 'time')}, the probe stayed"
        for name, number in summary.replanned.items()
    ]
    lines += [f"{name}: NO MORE HITS, {reason}" for name, reason in summary.ended.items()]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"... and {len(lines) - _SHOWN:,} more of these"]
    for reason, names in names_by_reason(summary.refused).items():
        lines.append(f"{_count(len(names), 'function')} not probed: {reason}")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
