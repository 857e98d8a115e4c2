"""Probes in a running kernel: the same workload, bare and with each way of watching it.

The workload is ``dd bs=1``: each of its reads calls ``vfs_read`` once. What one event costs is the
guest's own time with it, less the time without, over the number of reads.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bench.native import NativeMachine
from bench.tracefs import function_tracer, kprobe_event, recorded
from bench.userland import DD, Runner, clocked
from stepvisor.errors import GuestError
from stepvisor.trace.guest import Guest

__all__ = ("SYMBOL", "Workload", "every_function", "monitor_workloads", "native_workloads")

SYMBOL = "vfs_read"

_FEW = 20
"""How many times fewer reads for what costs tens of microseconds."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A way of running dd."""

    base: str
    """The workload without events that it is compared with."""
    reads: int
    measure: Callable[[], float]
    """Seconds of guest time."""


def native_workloads(native: NativeMachine, reads: int) -> dict[str, Workload]:
    """Without the monitor."""

    def kprobe() -> float:
        with kprobe_event(native, SYMBOL):
            return _recorded(native, reads)

    def tracer() -> float:
        with function_tracer(native, SYMBOL):
            return _recorded(native, reads)

    return {
        "native": Workload("native", reads, lambda: _dd(native, reads)),
        "kprobe": Workload("native", reads, kprobe),
        "function_tracer": Workload("native", reads, tracer),
    }


def monitor_workloads(guest: Guest, reads: int) -> dict[str, Workload]:
    """Under the monitor."""
    few = reads // _FEW
    return {
        "idle": Workload("native", reads, lambda: _dd(guest, reads)),
        "linux_hit": Workload("idle", reads, lambda: _traced(guest, reads)),
        "linux_reject": Workload(
            "idle", reads, lambda: _traced(guest, reads, where="x2 > 1 << 40")
        ),
        "idle_few": Workload("native", few, lambda: _dd(guest, few)),
        "linux_step": Workload("idle_few", few, lambda: _traced(guest, few, plan="step")),
    }


def every_function(guest: Guest, native: NativeMachine, reads: int) -> dict[str, Workload]:
    """All functions of the kernel at once: counted by the monitor, recorded by the kernel."""

    def probed() -> float:
        with guest.trace("*", record=False):
            return _dd(guest, reads)

    def traced() -> float:
        with function_tracer(native, None):
            return _recorded(native, reads)

    return {
        "native": Workload("native", reads, lambda: _dd(native, reads)),
        "idle": Workload("native", reads, lambda: _dd(guest, reads)),
        "every_probe": Workload("idle", reads, probed),
        "every_tracer": Workload("native", reads, traced),
    }


def _traced(
    guest: Guest, reads: int, *, where: str | None = None, plan: str | None = None
) -> float:
    with guest.trace(SYMBOL, where=where, plan=plan) as trace:
        taken = _unblocked(guest, reads)
    hits = trace.summary()
    if hits.lost or hits.total < (0 if where else reads):
        raise GuestError(f"{reads} reads, but {hits.total} hits and {hits.lost} lost")
    return taken


def _unblocked(guest: Guest, reads: int) -> float:
    """Seconds, the time added for which a full ring stopped the guest's clock."""
    before = _blocked(guest)
    taken = _dd(guest, reads)
    return taken + (_blocked(guest) - before) / guest.monitor.frequency


def _blocked(guest: Guest) -> int:
    return sum(counters.blocked_ticks for counters in guest.counters())


def _recorded(native: NativeMachine, reads: int) -> float:
    taken = _dd(native, reads)
    if (records := recorded(native)) < reads:
        raise GuestError(f"{reads} reads, but {records} records in the guest's trace buffers")
    return taken


def _dd(runner: Runner, reads: int) -> float:
    return clocked(runner, DD.format(count=reads))
