"""A trace: some probes, from arming to disarming, and what they saw."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import GuestError, ProbeError
from stepvisor.monitor.events import Notice, ProbeGone
from stepvisor.monitor.interface import Backend, Policy, PoolUse, ProbeRequest, Progress
from stepvisor.probe.many import Refused
from stepvisor.probe.program import HitProgram
from stepvisor.trace.collector import Collector
from stepvisor.trace.columns import PLAIN, HitFormat
from stepvisor.trace.histogram import Histogram
from stepvisor.trace.hit import Batch, Hit
from stepvisor.trace.summary import Fates, Summary
from stepvisor.trace.tally import TraceTally, with_programs

__all__ = ("Trace",)

_LOOK_SECONDS = 1.0


class Trace:
    """Probes that are armed inside a ``with`` block; the hits stay readable after it.

    Iterating yields every hit recorded up to then that has not been read yet.
    """

    def __init__(
        self,
        backend: Backend,
        probes: Sequence[ProbeRequest],
        policy: Policy = Policy.BLOCK,
        exclusive: threading.Semaphore | None = None,
        check: Callable[[], None] | None = None,
        *,
        asked: HitProgram | None = None,
        progress: Progress | None = None,
        refused: Sequence[Refused] = (),
        gone: Callable[[], Sequence[ProbeRequest]] = tuple,
    ) -> None:
        """Not armed yet. `exclusive` is held while it is: rings have one reader.

        :param check: Raises when the guest has ended, saying more than the backend can.
        :param asked: What decides and is captured at a hit; None for a plain record.
        :param progress: Called while probes are armed.
        :param refused: Places that a pattern named where no probe can go.
        :param gone: Gives the probes whose code has gone since the last call.
        """
        self._backend = backend
        self._probes = tuple(probes)
        self._policy = policy
        self._check = check if check is not None else backend.check
        self._exclusive = exclusive if exclusive is not None else threading.Semaphore()
        self._symbols = {probe.slot: probe.label for probe in probes}
        self._asked = asked
        self._progress = progress
        self._gone = gone
        self._looked = 0.0
        self.refused = tuple(refused)
        """Places that a pattern named where no probe can go, and why."""
        self._format = PLAIN
        self._tally: TraceTally | None = None
        self._memory: PoolUse | None = None
        self._fates = Fates(self._symbols)
        self._collector: Collector | None = None
        self._closed = False
        self._start = 0
        self._stop = 0
        self._before = (0, 0)
        self._after: tuple[int, int] | None = None
        self._taken = 0

    def __enter__(self) -> Self:
        """Arm all probes, or none.

        :raise ProbeError: When one cannot be armed.
        """
        if self._collector is not None:
            message = "a trace can be entered once; make another with guest.trace()"
            raise GuestError(message)
        if not self._exclusive.acquire(blocking=False):
            message = "another trace of this guest has not ended; leave its `with` block first"
            raise ProbeError(message)
        try:
            self._backend.set_policy(self._policy)
            self._before = self._trouble()
            self._start_program()
            self._collector = Collector(
                self._backend, hit_format=self._format, on_notice=self._fates.note
            )
            self._start = self._backend.read_cpu().ticks
            self._arm()
        except BaseException:
            self._finish()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disarm; an error on the way out never hides the one that led here."""
        try:
            self._disarm()
        except Exception:
            if error is None:
                raise
        finally:
            self._finish()

    def read(self, timeout: float = 0.0) -> Batch | None:
        """The next hits, waiting up to `timeout` seconds for the first; None when there are none.

        :raise MonitorError: When the monitor stopped; hits recorded before can still be read.
        """
        collector = self._started()
        hits = collector.spool.get()
        if hits is None and timeout > 0 and not self._closed:
            collector.wait(self._taken, timeout)
            hits = collector.spool.get()
        if hits is None:
            if collector.failed:
                self._check()
            collector.check()
            if not self._closed and time.monotonic() - self._looked > _LOOK_SECONDS:
                self._look()
            return None
        self._taken += len(hits)
        return Batch(
            hits,
            self._backend.start_ticks,
            self._backend.frequency,
            self._symbols,
            self._format.layout,
        )

    def batches(self) -> Iterator[Batch]:
        """Everything recorded up to this call that has not been read, as columns."""
        collector = self._started()
        collector.sync()
        # What is recorded while the caller looks at a batch is for the next call.
        remaining = collector.total - self._taken
        while remaining > 0 and (batch := self.read()) is not None:
            remaining -= len(batch)
            yield batch

    def __iter__(self) -> Iterator[Hit]:
        """The hits of :meth:`batches` one by one."""
        for batch in self.batches():
            yield from batch

    def array(self) -> NDArray[np.void]:
        """The hits of :meth:`batches` in one array: fields vcpu, slot, sequence, ticks, pc, x.

        With captures, instead of x: faults (bit n: value n was not readable), and v0, v1, ...
        """
        parts = [batch.records for batch in self.batches()]
        return np.concatenate(parts) if parts else np.empty(0, self._format.dtype)

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The last thousand things that were no hits: losses, instructions the guest replaced."""
        return tuple(self._started().notices)

    @property
    def hits(self) -> int:
        """Hits recorded so far."""
        return self._started().total

    def summary(self) -> Summary:
        """Counts up to now."""
        collector = self._started()
        if not self._closed:
            collector.sync()
            self._look()
        collector.check()
        stop = self._stop if self._closed else self._backend.read_cpu().ticks
        derailed, astray = self._after or self._trouble()
        return Summary(
            hits=self._hits(collector),
            lost=collector.lost,
            seconds=(stop - self._start) / self._backend.frequency,
            derailed=derailed - self._before[0],
            astray=astray - self._before[1],
            missing=self._missing(collector),
            replanned=self._fates.replanned,
            ended=self._fates.ended,
            refused=self.refused,
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Hits at which a condition of ``count`` held, by condition and probe."""
        self._started()
        return {} if self._tally is None else self._tally.counts()

    def histograms(self) -> dict[str, dict[str, Histogram]]:
        """The histograms of ``hist``, by expression and probe."""
        self._started()
        return {} if self._tally is None else self._tally.histograms()

    @property
    def probes(self) -> int:
        """How many there are."""
        return len(self._probes)

    @property
    def memory(self) -> PoolUse:
        """What the monitor uses for probes once they are armed."""
        self._started()
        return self._memory if self._memory is not None else self._backend.memory

    @property
    def closed(self) -> bool:
        """Whether its probes have come and gone."""
        return self._closed

    def abandon(self) -> None:
        """The guest ends: stop collecting, do not talk to it any more."""
        if self._collector is not None:
            self._finish()

    def _started(self) -> Collector:
        if self._collector is None:
            message = "this trace has not been started; use `with guest.trace(...) as trace:`"
            raise GuestError(message)
        return self._collector

    def _start_program(self) -> None:
        """Load the program, if something is asked that a plain record does not answer."""
        if self._asked is None:
            return
        self._probes = with_programs(self._backend, self._probes, self._asked)
        self._format = HitFormat(self._asked.layout, self._symbols)
        self._tally = TraceTally(self._backend, self._probes, self._asked)

    def _arm(self) -> None:
        if self._progress is None:
            self._backend.arm(self._probes)
        else:
            self._backend.arm(self._probes, self._progress)

    def _hits(self, collector: Collector) -> dict[str, int]:
        if self._tally is not None and self._asked is not None and not self._asked.record:
            return self._tally.hits()
        return {probe.label: int(collector.counts[probe.slot]) for probe in self._probes}

    def _missing(self, collector: Collector) -> dict[str, int]:
        layout = self._format.layout
        values = layout.values if layout is not None else ()
        counts = zip(values, collector.missing.tolist(), strict=True)
        return {value.name: number for value, number in counts if number}

    def _trouble(self) -> tuple[int, int]:
        counters = self._backend.counters()
        return sum(c.derailed for c in counters), sum(c.astray for c in counters)

    def _look(self) -> None:
        """Give up the probes whose code has gone."""
        self._looked = time.monotonic()
        gone = self._gone()
        if gone:
            self._backend.disarm([probe.slot for probe in gone])
            ticks = self._backend.read_cpu().ticks
            for probe in gone:
                self._started().note(ProbeGone(0, probe.slot, ticks, probe.va))

    def _disarm(self) -> None:
        if not self._closed:
            self._look()
            if self._asked is not None:
                self._memory = self._backend.memory
            gone = self._backend.disarm([probe.slot for probe in self._probes])
            self._fates.note_gone(gone)
            self._stop = self._backend.read_cpu().ticks
            self._after = self._trouble()
            if self._tally is not None:
                self._tally.stop()

    def _finish(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._collector is not None:
            self._collector.close()
        self._exclusive.release()
