"""What went wrong while the guest went on."""

import logging
import threading
from collections import deque
from dataclasses import dataclass

__all__ = ("Trouble", "Troubles")

_KEPT = 1000
_LOG = logging.getLogger("stepvisor")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One event that was not answered as it should have been; the guest went on."""

    vcpu: int
    sequence: int
    """Of the event."""
    what: str


class Troubles:
    """The last thousand; each kind is logged once (logger ``stepvisor``)."""

    def __init__(self) -> None:
        self._kept: deque[Trouble] = deque(maxlen=_KEPT)
        self._logged: set[str] = set()
        self._lock = threading.Lock()

    def add(self, trouble: Trouble) -> None:
        """Keep it, and log it when it is the first of its kind."""
        with self._lock:
            self._kept.append(trouble)
            first = trouble.what not in self._logged and len(self._logged) < _KEPT
            self._logged.add(trouble.what)
        if first:
            _LOG.warning("vCPU %d: %s; the guest goes on", trouble.vcpu, trouble.what)

    def all(self) -> tuple[Trouble, ...]:
        """In the order in which they came."""
        with self._lock:
            return tuple(self._kept)
