"""A trace as lines for people."""

from stepvisor.trace.hit import Batch
from stepvisor.trace.trace import Summary

__all__ = ("HEADER", "format_batch", "format_summary")

HEADER = "      TIME  CPU  EVENT\n"

_LINE = "%10.6f %4d  %s x0=%#x x1=%#x x2=%#x x3=%#x x4=%#x x5=%#x\n"


def format_batch(batch: Batch) -> str:
    """One line per hit: seconds since boot, vCPU, probe, x0 to x5."""
    rows = zip(
        batch.time.tolist(), batch.vcpu.tolist(), batch.symbol, batch.x.tolist(), strict=True
    )
    return "".join([_LINE % (time, vcpu, symbol, *x) for time, vcpu, symbol, x in rows])


def format_summary(summary: Summary) -> str:
    """Hits per probe, then all of them, lost ones, and the guest's run time."""
    width = max((len(name) for name in summary.hits), default=0)
    lines = [f"{name:<{width}}  {_count(hits, 'hit')}" for name, hits in summary.hits.items()]
    lines.append(
        f"{_count(summary.total, 'hit')}, {summary.lost:,} lost,"
        f" {summary.seconds:.3f} s of guest run time"
    )
    if summary.derailed or summary.astray:
        lines.append(
            f"WARNING: {summary.derailed} steps ended in an interrupt handler,"
            f" {summary.astray} elsewhere than their instruction leads: please report this"
        )
    return "\n".join(lines) + "\n"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
