"""Order of accesses to shared memory, from Python.

The ring protocol needs: the producer's index is read before the payload, and the payload is read
before the consumer's index is published. x86 keeps that order by itself, arm64 does not, and
Python has no fence. Unlocking is a release and locking an acquire operation; a release followed by
an acquire on the same lock is ordered against everything on both sides (a single lock/unlock pair
is not: accesses may move into it from both ends, and pass each other there).
"""

import platform
import threading

__all__ = ("barrier",)

_LOCK = threading.Lock()
_NEEDED = platform.machine().lower() not in {"x86_64", "amd64"}


def barrier() -> None:
    """Everything before it happens before everything after it."""
    if _NEEDED:
        with _LOCK:
            pass
        with _LOCK:
            pass
