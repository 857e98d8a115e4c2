"""What the guest's own kernel offers: a kprobe event with three arguments, the function tracer.

Sources: Linux ``Documentation/trace/kprobetrace.rst`` and ``ftrace.rst``.
"""

import contextlib
from collections.abc import Iterator

from bench.userland import Runner
from stepvisor.errors import GuestError

__all__ = ("function_tracer", "kprobe_event", "recorded")

_ROOT = "/sys/kernel/tracing"


@contextlib.contextmanager
def kprobe_event(runner: Runner, symbol: str) -> Iterator[None]:
    """A kprobe event on `symbol` that records x0, x1 and x2, enabled while the block lasts."""
    _do(runner, f"echo > {_ROOT}/trace")
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
    _do(runner, f"echo > {_ROOT}/trace; echo {symbol or ''} > {_ROOT}/set_ftrace_filter")
    _do(runner, f"echo function > {_ROOT}/current_tracer")
    try:
        yield
    finally:
        _do(runner, f"echo nop > {_ROOT}/current_tracer")
        _do(runner, f"echo > {_ROOT}/set_ftrace_filter; echo > {_ROOT}/trace")


def recorded(runner: Runner) -> int:
    """How many records the kernel's trace buffers have taken since they were emptied."""
    stats = _do(runner, f"cat {_ROOT}/per_cpu/cpu*/stats")
    pairs = [line.split(":", 1) for line in stats.splitlines() if ":" in line]
    return sum(int(number) for name, number in pairs if name in {"entries", "overrun"})


def _do(runner: Runner, command: str) -> str:
    done = runner.run(command)
    if done.exit_code:
        raise GuestError(f"`{command}` in the guest: {done.output.strip()}")
    return done.output
