"""What the guest's own kernel offers: a kprobe event with three arguments, the function tracer.

Sources: Linux ``Documentation/trace/kprobetrace.rst`` and ``ftrace.rst``.
"""

import contextlib
from collections.abc import Iterator

from bench.userland import Runner
from stepvisor.errors import GuestError

__all__ = ("function_tracer", "hits_of", "kprobe_event")

_ROOT = "/sys/kernel/tracing"


@contextlib.contextmanager
def kprobe_event(runner: Runner, symbol: str) -> Iterator[None]:
    """A kprobe event on `symbol` that records x0, x1 and x2, enabled while the block lasts."""
    _do(runner, f"echo 'p:bench {symbol} a=%x0 b=%x1 c=%x2' > {_ROOT}/kprobe_events")
    _do(runner, f"echo 1 > {_ROOT}/events/kprobes/bench/enable")
    try:
        yield
    finally:
        _do(runner, f"echo 0 > {_ROOT}/events/kprobes/bench/enable")
        _do(runner, f"echo > {_ROOT}/kprobe_events; echo > {_ROOT}/trace")


@contextlib.contextmanager
def function_tracer(runner: Runner, symbol: str | None) -> Iterator[None]:
    """The function tracer on `symbol`, None for all functions, while the block lasts."""
    _do(runner, f"echo {symbol or ''} > {_ROOT}/set_ftrace_filter")
    _do(runner, f"echo function > {_ROOT}/current_tracer")
    try:
        yield
    finally:
        _do(runner, f"echo nop > {_ROOT}/current_tracer")
        _do(runner, f"echo > {_ROOT}/set_ftrace_filter; echo > {_ROOT}/trace")


def hits_of(runner: Runner, event: str) -> int:
    """How often a kprobe event was hit while it was enabled, as the kernel counts it."""
    for line in _do(runner, f"cat {_ROOT}/kprobe_profile").splitlines():
        name, hits, *_ = line.split()
        if name == event:
            return int(hits)
    raise GuestError(f"the guest's kprobe_profile does not list {event}")


def _do(runner: Runner, command: str) -> str:
    done = runner.run(command)
    if done.exit_code:
        raise GuestError(f"`{command}` in the guest: {done.output.strip()}")
    return done.output
