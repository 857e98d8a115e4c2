"""The thread that moves what the rings hold to the spool."""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stepvisor.monitor.events import Lost, Notice
from stepvisor.monitor.interface import Backend
from stepvisor.trace.columns import PLAIN, HitFormat
from stepvisor.trace.spool import Spool

__all__ = ("Collector",)

_BUSY_SECONDS = 0.0005
_IDLE_SECONDS = 0.002
_FULL_SECONDS = 0.01
_NOTICES = 1000
_HEAVY = 16384
"""Hits in one round that call for the next one at once."""


class Collector:
    """Drains `backend` from construction to :meth:`close`.

    An error of the backend ends the thread; :meth:`check` raises it to whoever reads.
    """

    def __init__(
        self,
        backend: Backend,
        spool: Spool | None = None,
        hit_format: HitFormat = PLAIN,
        on_notice: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        """Start. `on_notice` is called in the thread, with whatever is no hit."""
        self._backend = backend
        self._format = hit_format
        self._on_notice = on_notice
        self.spool = spool if spool is not None else Spool(hit_format.dtype)
        self.counts = np.zeros(backend.capabilities.probes + 1, np.int64)
        """Hits by slot."""
        self.total = 0
        """Hits put into the spool."""
        self.missing = hit_format.missing(np.empty(0, hit_format.dtype))
        """Hits without memory for a captured value, by the value's number."""
        self.lost = 0
        self.notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._rounds = 0
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._turned = threading.Condition()
        """A round has ended."""
        self._arrived = threading.Condition()
        """Hits are in the spool, or no more will come."""
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether an error has ended the thread."""
        return self._error is not None

    def check(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._error is not None:
            raise self._error

    def note(self, notice: Notice) -> None:
        """Take in something that is no hit."""
        self.notices.append(notice)
        self._on_notice(notice)

    def sync(self) -> None:
        """Wait until everything recorded before this call is in the spool, or the spool is full."""
        with self._turned:
            # The round under way may have passed a ring already; the one after it has not.
            target = self._rounds + 2
            while self._rounds < target and self._alive() and not self.spool.full:
                self._turned.wait(0.1)

    def wait(self, taken: int, timeout: float) -> None:
        """Wait until more than `taken` hits have come in all, at most `timeout` seconds."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.total > taken or not self._alive(), timeout)

    def close(self) -> None:
        """One last round, then the end of the thread. What the spool holds stays readable."""
        self._stop.set()
        self._thread.join()

    def _alive(self) -> bool:
        return self._error is None and not self._stop.is_set()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._pause(self._round())
            self._round()
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader must hear of it
            self._error = error
        finally:
            self._note_round()
            with self._arrived:
                self._arrived.notify_all()

    def _pause(self, hits: int) -> None:
        if self.spool.full:
            self._stop.wait(_FULL_SECONDS)
        elif hits < _HEAVY:
            self._stop.wait(_BUSY_SECONDS if hits else _IDLE_SECONDS)

    def _round(self) -> int:
        """Drain every ring once; returns the number of hits."""
        if self.spool.full and not self._stop.is_set():
            self._backend.check()
            return 0
        drained = self._backend.drain()
        hits = _in_order(self._format.arrays(drained), self._format.dtype)
        for notice in drained.notices:
            if isinstance(notice, Lost):
                self.lost += notice.lost
            self.note(notice)
        if len(hits):
            counts = np.bincount(hits["slot"])
            self.counts[: len(counts)] += counts
            self.missing += self._format.missing(hits)
            self.spool.put(hits)
            with self._arrived:
                self.total += len(hits)
                self._arrived.notify_all()
        else:
            self._backend.check()
        self._note_round()
        return len(hits)

    def _note_round(self) -> None:
        with self._turned:
            self._rounds += 1
            self._turned.notify_all()


def _in_order(hits: list[NDArray[np.void]], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    if not hits:
        return np.empty(0, dtype)
    if len(hits) == 1:
        return hits[0]
    together = np.concatenate(hits)
    return together[np.argsort(together["ticks"], kind="stable")]
