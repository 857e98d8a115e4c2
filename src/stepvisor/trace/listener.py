"""A subscription to monitor events."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import GuestError, InputError
from stepvisor.monitor.guest_event import GuestEvent, read_event
from stepvisor.monitor.interface import Backend
from stepvisor.monitor.vocabulary import Event, StepOption
from stepvisor.trace.events import Callback, Consumer, EventHub
from stepvisor.trace.step_plan import PACE

__all__ = ("Listener",)


class Listener:
    """Events of some vCPUs, from :meth:`stepvisor.Guest.on`.

    As a decorator it starts at once, and the function is called with every event, in a thread of
    its own. In a ``with`` block without a function, iterating yields the events recorded so far.
    A SINGLESTEP listener steps its vCPUs for as long as it is open.
    """

    def __init__(
        self,
        hub: EventHub,
        backend: Backend,
        events: frozenset[Event],
        vcpus: frozenset[int],
        *,
        synchronous: bool,
        timeout: float,
        options: StepOption,
    ) -> None:
        """Not open yet; see :meth:`stepvisor.Guest.on`."""
        self._hub = hub
        self._backend = backend
        self._events = events
        self._vcpus = vcpus
        self._synchronous = synchronous
        self._timeout = timeout
        self._options = options
        self._consumer: Consumer | None = None
        self._open = False

    def __call__(self, callback: Callback) -> Self:
        """Open it with `callback`; usable as a decorator."""
        self._start(callback)
        return self

    def __enter__(self) -> Self:
        """Open it, unless it is."""
        if not self._open:
            self._start(None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; an error on the way out never hides the one that led here."""
        try:
            self.close()
        except Exception:
            if error is None:
                raise

    @property
    def is_open(self) -> bool:
        """Whether events still come."""
        return self._open

    @property
    def lost(self) -> int:
        """Records that full rings dropped since it was opened, probe hits included."""
        return self._started().lost

    def close(self) -> None:
        """No more events, no more stepping; what was recorded can still be read. Idempotent."""
        if not self._open or self._consumer is None:
            return
        self._open = False
        try:
            if Event.SINGLESTEP in self._events:
                self._backend.set_stepping(self._vcpus, on=False)
        finally:
            self._hub.release_stepping(self)
            self._hub.remove(self._consumer)

    def read(self, timeout: float = 0.0) -> NDArray[np.void] | None:
        """The next events as an array of ``EVENT_DTYPE``; None when none came in `timeout` seconds.

        :raise MonitorError: When the monitor stopped; events recorded before can still be read.
        """
        consumer = self._started()
        records = consumer.read(timeout)
        if records is None and consumer.error is not None:
            raise consumer.error
        return records

    def wait(self, timeout: float = 10.0) -> Iterator[GuestEvent]:
        """Events as they come; ends when none came for `timeout` seconds."""
        while (records := self.read(timeout)) is not None:
            yield from self._each(records)

    def __iter__(self) -> Iterator[GuestEvent]:
        """The events recorded so far that have not been read."""
        self._started().sync()
        while (records := self.read()) is not None:
            yield from self._each(records)

    def _each(self, records: NDArray[np.void]) -> Iterator[GuestEvent]:
        clock = self._backend.clock
        for index in range(len(records)):
            yield read_event(records[index : index + 1], clock)

    def _start(self, callback: Callback | None) -> None:
        if self._consumer is not None:
            message = "a listener can be opened once; make another with guest.on()"
            raise GuestError(message)
        if callback is not None and not callable(callback):
            message = f"{callback!r} cannot be called; guest.on() decorates a function"
            raise InputError(message)
        consumer = Consumer(
            self._events,
            self._vcpus,
            callback=callback,
            synchronous=self._synchronous,
            timeout=self._timeout,
        )
        stepping = Event.SINGLESTEP in self._events
        if stepping:
            self._hub.claim_stepping(self)
        try:
            self._hub.add(consumer)
            self._consumer, self._open = consumer, True
            if stepping:
                self._backend.configure_step(self._options, pace=PACE)
                self._backend.set_stepping(self._vcpus, on=True)
        except BaseException:
            self._hub.remove(consumer)
            self._hub.release_stepping(self)
            self._open = False
            raise

    def _started(self) -> Consumer:
        if self._consumer is None:
            message = "this listener is not open; use `with guest.on(...) as events:`"
            raise GuestError(message)
        return self._consumer
