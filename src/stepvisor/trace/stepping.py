"""Stepping one run of a function: from its first instruction until it returns, or further."""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import GuestError
from stepvisor.monitor.events import EVENT_DTYPE
from stepvisor.monitor.interface import Backend, Policy, ProbeRequest
from stepvisor.monitor.vocabulary import Event, StepEnd, StepOption, TaskFilter, Until
from stepvisor.trace.cause import Cause
from stepvisor.trace.ending import Ending, find_end
from stepvisor.trace.events import Callback, Consumer, EventHub
from stepvisor.trace.step import Names, Step, StepReader
from stepvisor.trace.step_plan import PACE

__all__ = ("Stepping",)

_POLL_SECONDS = 0.2
_END_SECONDS = 5.0


class Stepping:
    """Steps, from :meth:`stepvisor.Guest.step`.

    Iterating yields them until the end that was asked for. Without a ``with`` block, iterating
    arms the probe first and disarms it afterwards.
    """

    def __init__(
        self,
        hub: EventHub,
        backend: Backend,
        probes: Sequence[ProbeRequest],
        names: Callable[[int], Names],
        *,
        options: StepOption,
        end: StepEnd,
        task: TaskFilter | None,
        timeout: float,
        answer: Callback | None = None,
        check: Callable[[], None] | None = None,
        gone: Callable[[], Sequence[ProbeRequest]] = tuple,
    ) -> None:
        """Not armed yet. The first of `probes` starts stepping.

        `names` gives those of the running kernel's code, from the address of the first probe there.
        `check` raises when the guest has ended, saying more than the backend can.
        """
        self._hub = hub
        self._backend = backend
        self._probes = tuple(probes)
        self._names = names
        self._options = options
        self._end = end
        self._task = task
        self._timeout = timeout
        vcpus = frozenset(range(backend.capabilities.vcpus))
        steps = frozenset({Event.SINGLESTEP})
        self._consumer = Consumer(steps, vcpus)
        self._consumers = [self._consumer]
        if answer is not None:
            self._consumers.append(Consumer(steps, vcpus, callback=answer, synchronous=True))
        self._armed = False
        self._closed = False
        self._reader: StepReader | None = None
        self._check = check if check is not None else backend.check
        self._gone = gone
        self._cause: Cause | None = None
        self.ending: Ending | None = None
        """Why stepping ended, as far as has been read; None while it goes on or is given up."""
        self.reason = ""
        """The same in words."""
        self.taken = 0
        """Events read so far."""

    @property
    def closed(self) -> bool:
        """Whether its probes have come and gone."""
        return self._closed

    @property
    def started(self) -> bool:
        """Whether the function was called, as far as has been read."""
        return self._reader is not None

    @property
    def finished(self) -> bool:
        """Whether the end that was asked for came, as far as has been read."""
        return self.ending is Ending.ASKED

    @property
    def lost(self) -> int:
        """Records that full rings dropped meanwhile."""
        return self._consumer.lost

    def caused_by(self, cause: str, over: Callable[[], bool]) -> None:
        """Do not wait for a call any more when `over` says that what was to call has ended.

        `cause` names it in the :class:`~stepvisor.GuestError` that iterating raises then.
        """
        self._cause = Cause(cause, over, self._consumer.sync)

    def __enter__(self) -> Self:
        """Arm.

        :raise InputError: When the guest is being stepped already.
        :raise ProbeError: When no probe can go there.
        """
        if self._armed:
            message = "a step can be entered once; make another with guest.step()"
            raise GuestError(message)
        self._hub.claim_stepping(self)
        try:
            for consumer in self._consumers:
                self._hub.add(consumer)
            self._armed = True
            self._backend.set_policy(Policy.BLOCK)
            # At the speed of answers the timer would ask for another task at every chance.
            pace = PACE if len(self._consumers) > 1 else 0
            self._backend.configure_step(self._options, self._end, self._task, pace)
            self._backend.arm(self._probes)
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm, and let go what is still being stepped."""
        try:
            self.close()
        except Exception:
            if error is None:
                raise

    def close(self) -> None:
        """Disarm, let go what is still being stepped; steps so far stay readable. Idempotent."""
        if not self._armed or self._closed:
            return
        if self.ending is Ending.GUEST:
            # Nobody is there any more who could be told.
            self._closed = True
            self._hub.release_stepping(self)
            return
        try:
            self._backend.disarm([probe.slot for probe in self._probes])
            self._backend.set_stepping(None, on=False)
        finally:
            self._let_go()

    def abandon(self) -> None:
        """The guest ends: no word to it any more."""
        self._closed = True

    def __iter__(self) -> Iterator[Step]:
        """Every step until the end; after the ``with`` block, those recorded that were not read.

        The end is the one that was asked for, or what makes it impossible: :attr:`ending`.

        :raise GuestError: When the function is not called, or the end does not come, in time.
        :raise MonitorError: When the monitor stopped.
        """
        if self._armed:
            yield from self._steps()
        else:
            with self:
                yield from self._steps()

    def batches(self) -> Iterator[NDArray[np.void]]:
        """The same events as arrays of ``EVENT_DTYPE``, for those who count millions."""
        last = time.monotonic()
        while self.ending is None:
            records = self._consumer.read(0.0 if self._closed else _POLL_SECONDS)
            if records is not None:
                last = time.monotonic()
                self.taken += len(records)
                yield self._up_to_end(records)
            elif self._consumer.error is not None:
                self._end_with(self._consumer.error)
            elif self._closed:
                return
            elif time.monotonic() - last > self._timeout:
                raise self._too_late()
            else:
                self._look()

    def array(self) -> NDArray[np.void]:
        """All of :meth:`batches` in one array."""
        parts = list(self.batches())
        return np.concatenate(parts) if parts else np.empty(0, EVENT_DTYPE)

    def _steps(self) -> Iterator[Step]:
        for records in self.batches():
            if self._reader is not None:
                yield from self._reader.read(records)

    def _up_to_end(self, records: NDArray[np.void]) -> NDArray[np.void]:
        if self._reader is None:
            names = self._names(int(records["pc"][0]))
            self._reader = StepReader(self._backend.clock, names)
        found = find_end(records["outcome"])
        if found is None:
            return records
        end, self.ending = found
        self.reason = self.ending.value
        return records[: end + 1]

    def _look(self) -> None:
        """End when what is waited for cannot come: its module is gone, or who was to call it."""
        if not self.started and self._cause is not None and self._cause.is_over():
            raise GuestError(self._not_called(f"before {self._cause.name} ended"))
        for place in self._gone():
            if not self.started and place.slot == self._probes[0].slot:
                raise GuestError(f"{place.label} was not called before its module was unloaded")
            if self._end.until is Until.ADDRESS and place.va == self._end.address:
                self.ending = Ending.MODULE
                self.reason = self.ending.value

    def _end_with(self, error: Exception) -> None:
        """The guest's end is one of stepping, too, once that has begun; the rest is an error."""
        try:
            self._check()
        except GuestError as end:
            if not self.started:
                raise
            self.ending, self.reason = Ending.GUEST, str(end)
            return
        raise error

    def _let_go(self) -> None:
        self._closed = True
        self._hub.release_stepping(self)
        for consumer in self._consumers:
            self._hub.remove(consumer)

    def _too_late(self) -> GuestError:
        label = self._probes[0].label
        if self._reader is None:
            message = (
                f"{self._not_called(f'within {self._timeout:g} s')};"
                " run something in the guest that calls it"
            )
        else:
            message = (
                f"stepping from {label} did not come to its end: no step for {self._timeout:g} s"
                f" after {self.taken:,} events; the guest may wait for something"
            )
        return GuestError(message)

    def _not_called(self, when: str) -> str:
        who = f" by {self._task.name.decode(errors='replace')!r}" if self._task else ""
        return f"{self._probes[0].label} was not called{who} {when}"
