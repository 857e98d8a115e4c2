"""How long QEMU's threads could have run and had no processor, because others used the host.

The guest's counter runs on meanwhile. On a host that is busy with something else that is most of
the time; taken out, a measurement there tells nearly what one on a quiet host does. Source: Linux
``Documentation/scheduler/sched-stats.rst``, ``/proc/<pid>/schedstat``.
"""

import time
from pathlib import Path

__all__ = ("Contention", "share_of_life")

_NANO = 1e-9


class Contention:
    """From its construction on, of the threads of one process."""

    def __init__(self, pid: int) -> None:
        """Start to watch."""
        self._pid = pid
        self._before = _threads(pid)
        self._start = time.monotonic()

    def share(self, threads: int = 1) -> float:
        """Share of the time since then that the `threads` busiest ones waited, on average."""
        elapsed = time.monotonic() - self._start
        waited = []
        for thread, (ran, delayed) in _threads(self._pid).items():
            ran_before, delayed_before = self._before.get(thread, (0, 0))
            waited.append((ran - ran_before, delayed - delayed_before))
        busiest = sorted(waited, reverse=True)[:threads]
        if not busiest or elapsed <= 0:
            return 0.0
        total = sum(delayed for _, delayed in busiest) * _NANO
        return min(total / len(busiest) / elapsed, 0.99)


def share_of_life(pid: int) -> float:
    """Of the busiest thread, which has always had something to do: the share that it waited."""
    ran, delayed = max(_threads(pid).values(), default=(1, 0))
    return delayed / max(ran + delayed, 1)


def _threads(pid: int) -> dict[str, tuple[int, int]]:
    """By thread: nanoseconds on a processor, and waiting for one. Empty where nobody counts."""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            ran, delayed, _ = path.read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue  # the thread has ended, or the host's kernel does not count
        found[path.parent.name] = (int(ran), int(delayed))
    return found
