"""A trace as JSON, one object per line.

Addresses and registers are hexadecimal strings: many readers of JSON cannot hold 64-bit integers.
"""

from collections.abc import Mapping

from stepvisor.plain import to_json
from stepvisor.probe.many import names_by_reason
from stepvisor.trace.histogram import Histogram
from stepvisor.trace.hit import Batch, Value
from stepvisor.trace.summary import Summary

__all__ = ("format_batch", "format_summary")

_LINE = (
    '{"time": %.9f, "vcpu": %d, "sequence": %d, "symbol": %s, "pc": "%#x",'
    ' "x": ["%#x", "%#x", "%#x", "%#x", "%#x", "%#x"]}\n'
)


def format_batch(batch: Batch) -> str:
    """One object per hit."""
    if batch.layout is not None:
        return _format_captures(batch)
    names = {name: to_json(name) for name in set(batch.symbol)}
    rows = zip(
        batch.time.tolist(),
        batch.vcpu.tolist(),
        batch.sequence.tolist(),
        batch.symbol,
        batch.pc.tolist(),
        batch.x.tolist(),
        strict=True,
    )
    return "".join(
        [
            _LINE % (time, vcpu, number, names[name], pc, *x)
            for time, vcpu, number, name, pc, x in rows
        ]
    )


def _format_captures(batch: Batch) -> str:
    lines = [
        {
            "time": round(hit.time, 9),
            "vcpu": hit.vcpu,
            "sequence": hit.sequence,
            "symbol": hit.symbol,
            "pc": hex(hit.pc),
            "values": {name: _plain(value) for name, value in hit.values.items()},
            **({"missing": hit.missing} if hit.missing else {}),
        }
        for hit in batch
    ]
    return "".join([to_json(line) + "\n" for line in lines])


def _plain(value: Value) -> str | None:
    return hex(value) if isinstance(value, int) else value


def format_tallies(
    counts: Mapping[str, Mapping[str, int]], histograms: Mapping[str, Mapping[str, Histogram]]
) -> str:
    """One object with the keys ``counts`` and ``histograms``, nothing when both are empty."""
    if not counts and not histograms:
        return ""
    charts = {
        expression: {
            probe: [
                {"low": hex(bucket.low), "high": hex(bucket.high), "count": bucket.count}
                for bucket in chart
            ]
            for probe, chart in by_probe.items()
        }
        for expression, by_probe in histograms.items()
    }
    return to_json({"counts": counts, "histograms": charts}) + "\n"


def format_summary(summary: Summary) -> str:
    """One last object, under the key ``summary``; ``refused`` has the names by the reason."""
    content = {
        "hits": summary.hits,
        "total": summary.total,
        "lost": summary.lost,
        "guest_seconds": round(summary.seconds, 9),
        "derailed": summary.derailed,
        "astray": summary.astray,
        "missing": summary.missing,
        "complete": summary.complete,
        "replanned": summary.replanned,
        "ended": summary.ended,
        "refused": names_by_reason(summary.refused),
    }
    return to_json({"summary": content}) + "\n"
