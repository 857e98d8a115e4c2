"""The thread that takes events out of the rings, gives them to who wants them, and answers."""

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import InputError, StepvisorError
from stepvisor.monitor.answers import Answer
from stepvisor.monitor.events import EVENT_DTYPE, Lost
from stepvisor.monitor.guest_event import GuestEvent, read_event
from stepvisor.monitor.interface import Backend
from stepvisor.monitor.vocabulary import Event
from stepvisor.trace.order import InOrder
from stepvisor.trace.spool import Spool
from stepvisor.trace.troubles import Trouble, Troubles

__all__ = ("Callback", "Consumer", "EventHub")

Callback = Callable[[GuestEvent], Answer | None]
"""Gets an event, returns what the vCPU does next; None is Answer.CONTINUE."""

_ROUNDS_TO_BE_SEEN = 3
_HOT_SECONDS = 0.02
_BUSY_SECONDS = 0.0005
_IDLE_SECONDS = 0.005
_CHECK_SECONDS = 0.1
_SOON_SECONDS = 0.01
"""No vCPU gives up waiting that soon."""
_WATCH_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """What a consumer wants of one vCPU."""

    events: frozenset[Event]
    synchronous: frozenset[Event]


class Consumer:
    """Somebody who wants events: through `callback`, or one array after the other."""

    def __init__(
        self,
        events: frozenset[Event],
        vcpus: frozenset[int],
        *,
        callback: Callback | None = None,
        synchronous: bool = False,
        timeout: float = 1.0,
    ) -> None:
        """`timeout` is how many seconds a vCPU waits for a synchronous callback."""
        self.events = events
        self.vcpus = vcpus
        self.callback = callback
        self.synchronous = synchronous and callback is not None
        self.timeout = timeout
        self.lost = 0
        """Records that a full ring dropped meanwhile, hits included."""
        self.error: Exception | None = None
        """What ended the thread."""
        self._spool = Spool(EVENT_DTYPE)
        self._order = InOrder()
        self._turned = threading.Condition()
        self._rounds = 0
        self._ended = False

    def answers(self, event: GuestEvent) -> bool:
        """Whether a vCPU waits for its callback at `event`."""
        return self.synchronous and event.kind in self.events and event.vcpu in self.vcpus

    def round(self, arrays: list[NDArray[np.void]]) -> None:
        """What one round over the rings brought of its events; often nothing."""
        ready = self._order.round(arrays)
        with self._turned:
            self._rounds += 1
        self._put(ready)

    def flush(self, error: Exception | None = None) -> None:
        """No more comes, because of `error` or by intent."""
        self.error = self.error or error
        with self._turned:
            self._ended = True
        self._put(self._order.rest())

    def sync(self) -> None:
        """Wait until every event recorded before this call can be read, or no more will come."""
        with self._turned:
            # The round under way may have passed a ring already, and what the next one finds is
            # kept for one more, to be put in order.
            target = self._rounds + _ROUNDS_TO_BE_SEEN
            self._turned.wait_for(lambda: self._rounds >= target or self._ended)

    def read(self, timeout: float = 0.0) -> NDArray[np.void] | None:
        """The next events, waiting at most `timeout` seconds; None when there are none."""
        deadline = time.monotonic() + timeout
        with self._turned:
            while (found := self._spool.get()) is None:
                left = deadline - time.monotonic()
                if left <= 0 or self.error is not None:
                    return None
                self._turned.wait(left)
        return found

    def _put(self, records: NDArray[np.void]) -> None:
        with self._turned:
            if len(records):
                self._spool.put(records)
            self._turned.notify_all()


class EventHub:
    """Runs while there is at least one consumer."""

    def __init__(self, backend: Backend, troubles: Troubles) -> None:
        """`troubles` gets what goes wrong with callbacks."""
        self._backend = backend
        self._troubles = troubles
        self._consumers: tuple[Consumer, ...] = ()
        self._changing = threading.RLock()
        self._stop = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()
        self._unanswered = [0] * backend.capabilities.vcpus
        self._late = threading.Lock()
        self._asked: tuple[GuestEvent, float] | None = None
        """What a callback is thinking about, and since when."""
        self._stepper: object | None = None
        self._looked = 0.0
        """When the rings were looked at before the last time: what waits came later."""

    def add(self, consumer: Consumer) -> None:
        """Give `consumer` its events from now on.

        :raise InputError: When another one answers the same events already.
        """
        with self._changing:
            self._check_alone(consumer)
            if not self._consumers:
                self._backend.listen(on=True)
                self._unanswered = [c.unanswered for c in self._backend.counters()]
            self._consumers = (*self._consumers, consumer)
            self._start()
            self._apply(consumer.vcpus)

    def remove(self, consumer: Consumer) -> None:
        """No more events for `consumer`; once more is no error."""
        with self._changing:
            if consumer not in self._consumers:
                return
            try:
                self._apply(consumer.vcpus, without=consumer)
            finally:
                # From here on the thread answers what still waits with CONTINUE.
                self._consumers = tuple(c for c in self._consumers if c is not consumer)
                threads = self._end()
        _join(threads)
        with self._changing:
            if not self._consumers:
                self._backend.listen(on=False)
        consumer.flush()

    def claim_stepping(self, owner: object) -> None:
        """Only one may configure stepping at a time.

        :raise InputError: When somebody else does.
        """
        with self._changing:
            if self._stepper is not None:
                message = "this guest is being stepped already; end that first"
                raise InputError(message)
            self._stepper = owner

    def release_stepping(self, owner: object) -> None:
        """`owner` is done; nothing when it had not claimed."""
        with self._changing:
            if self._stepper is owner:
                self._stepper = None

    def close(self) -> None:
        """The guest ends: no word to it any more."""
        with self._changing:
            consumers, self._consumers = self._consumers, ()
            threads = self._end()
        _join(threads)
        for consumer in consumers:
            consumer.flush()

    def _check_alone(self, consumer: Consumer) -> None:
        for other in self._consumers:
            if not (consumer.synchronous and other.synchronous and consumer.vcpus & other.vcpus):
                continue
            for event in consumer.events & other.events:
                message = f"another callback answers {event.name} already; close it first"
                raise InputError(message)

    def _apply(self, vcpus: frozenset[int], without: Consumer | None = None) -> None:
        """Tell the backend what is wanted of `vcpus`."""
        consumers = [c for c in self._consumers if c is not without]
        timeout = max((c.timeout for c in consumers if c.synchronous), default=1.0)
        wishes: dict[Wish, set[int]] = {}
        for vcpu in vcpus:
            mine = [c for c in consumers if vcpu in c.vcpus]
            wish = Wish(
                frozenset[Event]().union(*(c.events for c in mine)),
                frozenset[Event]().union(*(c.events for c in mine if c.synchronous)),
            )
            wishes.setdefault(wish, set()).add(vcpu)
        for wish, those in wishes.items():
            self._backend.set_events(
                wish.events, vcpus=those, synchronous=wish.synchronous, timeout=timeout
            )

    def _start(self) -> None:
        if not self._threads:
            self._stop = threading.Event()
            self._threads = (
                threading.Thread(target=self._run, name="events", daemon=True),
                threading.Thread(target=self._watch, name="events-late", daemon=True),
            )
            for thread in self._threads:
                thread.start()

    def _end(self) -> tuple[threading.Thread, ...]:
        """Tell the threads to end when nobody is left; to be joined without the lock."""
        if self._consumers:
            return ()
        self._stop.set()
        threads, self._threads = self._threads, ()
        return threads

    def _run(self) -> None:
        stop = self._stop
        last = checked = time.monotonic()
        try:
            while not stop.is_set():
                if self._round():
                    last = time.monotonic()
                    continue
                now = time.monotonic()
                if now - checked > _CHECK_SECONDS:
                    self._backend.check()
                    checked = now
                time.sleep(self._pause(now - last))
        except Exception as error:  # noqa: BLE001 - whatever it is, the readers must hear of it
            with contextlib.suppress(StepvisorError):
                self._round()  # what was recorded between the last look and the guest's end
            for consumer in self._consumers:
                consumer.flush(error)
        finally:
            # What still waits must not wait for its timeout.
            self._last_round(stop)

    def _last_round(self, stop: threading.Event) -> None:
        with contextlib.suppress(StepvisorError):
            if stop.is_set() and not self._consumers:
                self._round()

    def _pause(self, idle: float) -> float:
        """Seconds to the next look; a vCPU that waits for an answer should not wait for a sleep."""
        if idle < _HOT_SECONDS and any(c.synchronous for c in self._consumers):
            return 0.0
        return _BUSY_SECONDS if idle < _HOT_SECONDS else _IDLE_SECONDS

    def _round(self) -> bool:
        looked = time.monotonic()
        drained = self._backend.drain_events()
        lost = sum(notice.lost for notice in drained.notices if isinstance(notice, Lost))
        waiting = [_waiting(array) for array in drained.events]
        for consumer in self._consumers:
            consumer.lost += lost
            if not consumer.synchronous:
                self._give(consumer, drained.events)
        for array in waiting:
            for index in range(len(array)):
                self._ask(array[index : index + 1])
        self._looked = looked
        return bool(drained.events)

    def _give(self, consumer: Consumer, arrays: list[NDArray[np.void]]) -> None:
        mine = [_select(array, consumer) for array in arrays]
        mine = [array for array in mine if len(array)]
        if consumer.callback is None:
            consumer.round(mine)
            return
        clock = self._backend.clock
        for array in mine:
            for index in range(len(array)):
                self._call(consumer, read_event(array[index : index + 1], clock))

    def _ask(self, record: NDArray[np.void]) -> None:
        """One synchronous event: its vCPU waits."""
        event = read_event(record, self._backend.clock)
        answer = Answer.CONTINUE
        for consumer in self._consumers:
            if consumer.answers(event):
                self._asked = event, time.monotonic()
                answer = self._call(consumer, event)
                self._asked = None
                break
        self._backend.answer(event.vcpu, event.sequence, answer)
        if time.monotonic() - self._looked > _SOON_SECONDS:
            self._look_for_late(event)

    def _call(self, consumer: Consumer, event: GuestEvent) -> Answer:
        if consumer.callback is None:
            return Answer.CONTINUE
        try:
            answer = consumer.callback(event)
        except BaseException as error:  # noqa: BLE001 - the user's code, which may call sys.exit
            self._report(event, f"the callback for {event.kind.name} raised {error!r}")
            return Answer.CONTINUE
        if answer is None:
            return Answer.CONTINUE
        if not _is_answer(answer):
            self._report(
                event, f"the callback for {event.kind.name} returned {answer!r}, which is no Answer"
            )
            return Answer.CONTINUE
        return answer

    def _look_for_late(self, event: GuestEvent) -> None:
        """Report it when the monitor did not wait that long."""
        unanswered = self._backend.counters()[event.vcpu].unanswered
        with self._late:
            is_late = unanswered != self._unanswered[event.vcpu]
            self._unanswered[event.vcpu] = unanswered
        if is_late:
            self._report(
                event, f"the callback for {event.kind.name} did not answer in time, and is ignored"
            )

    def _watch(self) -> None:
        """Report a late callback while it is still running: it may never return."""
        stop = self._stop
        with contextlib.suppress(StepvisorError):
            while not stop.wait(_WATCH_SECONDS):
                asked = self._asked
                if asked is not None and time.monotonic() - asked[1] > _SOON_SECONDS:
                    self._look_for_late(asked[0])

    def _report(self, event: GuestEvent, what: str) -> None:
        self._troubles.add(Trouble(event.vcpu, event.sequence, what))


def _join(threads: tuple[threading.Thread, ...]) -> None:
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join()


def _is_answer(answer: object) -> bool:
    """Whether a callback, which need not have been type-checked, returned an answer."""
    return isinstance(answer, Answer)


def _waiting(array: NDArray[np.void]) -> NDArray[np.void]:
    if len(array) == 1:
        return array if array["waits"][0] else array[:0]
    waiting: NDArray[np.void] = array[array["waits"] != 0]
    return waiting


def _select(array: NDArray[np.void], consumer: Consumer) -> NDArray[np.void]:
    """The part of one vCPU's events that a consumer wants."""
    if int(array["vcpu"][0]) not in consumer.vcpus:
        return array[:0]
    wanted = np.isin(array["event"], [int(event) for event in consumer.events])
    return array if wanted.all() else array[wanted]
