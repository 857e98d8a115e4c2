"""Drain the rings.

The monitor produces, this code consumes; the position in a ring is a byte count since boot modulo
its size. Records are 8-byte aligned and never straddle the end. The sequence number of every record
is checked: each follows the one before it, or a LOST record says how many are missing. Nothing that
is read here is trusted: what cannot be ends in a :class:`MonitorError`, never in a loop or a read
outside the ring.
"""

import functools
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import MonitorError
from stepvisor.monitor.barrier import barrier
from stepvisor.monitor.capture import RawCaptures, find_starts
from stepvisor.monitor.compact import expand_steps
from stepvisor.monitor.events import Drained, Lost, Notice, ProbeChanged, ProbeGone

__all__ = ("RingReader",)

_BULK = {
    int(wire.Record.HIT): wire.RECORD_HIT,
    int(wire.Record.EVENT): wire.RECORD_EVENT,
    int(wire.Record.STEP): wire.RECORD_STEP,
}
"""Records that come in numbers."""
_HEADER_SIZE = wire.RECORD.itemsize
_ALIGN = 8
_CAPTURE_SIZE = wire.RECORD_CAPTURE.itemsize
_SEQUENCE_WORD = 1

_EVENT_SIZE = wire.RECORD_EVENT.itemsize
_HEADER = struct.Struct("<HHBBHQ")
"""The start of every record: type, size, vCPU, flags, slot, sequence."""

_MOST_RECORDS = 1 << 62

_WINDOW = 8192
"""Records checked at a time: bounds the work repeated after each record that is not a hit."""

_CAPTURE_WINDOW = 1 << 16
"""Bytes searched at a time for records of different sizes; the longest has hardly over 1 KiB."""
_SAMPLE = 32
"""Records of one size that promise more of it."""


class RingReader:
    """The consumer of one vCPU's ring."""

    def __init__(self, vcpu: int, data: NDArray[np.uint8], index: NDArray[np.void]) -> None:
        """`data` are the ring's bytes, `index` its ``wire.RING_INDEX`` as an array of length 1."""
        self._vcpu = vcpu
        self._data = data
        self._bytes = data.data
        self._size = len(data)
        self._head = index["head"]
        self._tail = index["tail"]
        self._next = int(self._tail[0])
        self._sequence = 0
        self._last_event: NDArray[np.void] | None = None
        """What a compact step is the difference to."""

    def pending(self) -> int:
        """Bytes that wait to be consumed.

        :raise MonitorError: When the producer's index is impossible.
        """
        waiting = int(self._head[0]) - self._next
        if not 0 <= waiting <= self._size or waiting % _ALIGN:
            raise self._corrupt(f"its producer index is {waiting} bytes ahead")
        return waiting

    def drain(self, into: Drained) -> int:
        """Move everything that waits to `into`; returns the bytes consumed."""
        waiting = self.pending()
        if not waiting:
            return 0
        barrier()
        if waiting == _EVENT_SIZE and (event := self._single_event()) is not None:
            into.events.append(event)
        else:
            self._drain_all(waiting, into)
        barrier()
        self._next += waiting
        self._tail[0] = self._next
        return waiting

    def _drain_all(self, waiting: int, into: Drained) -> None:
        end = self._next + waiting
        position = self._next
        while position < end:
            start = position % self._size
            chunk = self._data[start : min(start + end - position, self._size)]
            position += self._drain_chunk(chunk, into, at_end=start + len(chunk) == self._size)
        if position != end:
            raise self._corrupt("a record reaches beyond the producer index")

    def _single_event(self) -> NDArray[np.void] | None:
        """The event that is all that waits, as when a vCPU waits for its answer: be quick."""
        start = self._next % self._size
        data = self._bytes[start : start + _EVENT_SIZE].tobytes()
        if len(data) < _EVENT_SIZE:
            return None
        kind, size, vcpu, _, _, sequence = _HEADER.unpack_from(data)
        if (kind, size, vcpu) != (wire.Record.EVENT, _EVENT_SIZE, self._vcpu):
            return None
        if sequence != self._sequence:
            raise self._out_of_sequence(sequence, self._sequence)
        self._sequence += 1
        self._last_event = np.frombuffer(data, wire.RECORD_EVENT)
        return self._last_event

    def _drain_chunk(self, chunk: NDArray[np.uint8], into: Drained, *, at_end: bool) -> int:
        """Consume contiguous bytes; returns how many, PAD up to the end of the ring included."""
        done = 0
        while done < len(chunk):
            kind = int(chunk[done])
            if kind == wire.Record.CAPTURE and (captures := self._captures(chunk[done:])):
                into.captures.append(captures)
                done += captures.data.nbytes
                continue
            dtype = _BULK.get(kind)
            records = None if dtype is None else self._bulk(chunk[done:], kind, dtype)
            if records is not None and len(records):
                done += records.nbytes
                if kind == wire.Record.HIT:
                    into.hits.append(records)
                else:
                    into.events.append(self._events(kind, records))
                continue
            size, notice = self._record(chunk[done:], at_end=at_end)
            if notice is not None:
                into.notices.append(notice)
            done += size
        return done

    def _bulk(
        self, chunk: NDArray[np.uint8], kind: int, dtype: np.dtype[np.void]
    ) -> NDArray[np.void]:
        """A copy of the records of `kind` that `chunk` begins with."""
        records = self._uniform(chunk, kind, dtype, _WINDOW).copy()
        self._check_sequence(records["sequence"])
        return records

    def _events(self, kind: int, records: NDArray[np.void]) -> NDArray[np.void]:
        """Events as they are, and steps as events."""
        if kind == wire.Record.STEP:
            if self._last_event is None:
                raise self._corrupt("a step without an event before it")
            records = expand_steps(records, self._last_event)
        self._last_event = records[-1:].copy()
        return records

    def _uniform(
        self, chunk: NDArray[np.uint8], kind: int, dtype: np.dtype[np.void], limit: int
    ) -> NDArray[np.void]:
        """The records of `kind` and of the size of `dtype` that `chunk` begins with."""
        count = min(len(chunk) // dtype.itemsize, limit)
        records = chunk[: count * dtype.itemsize].view(dtype)
        good = (
            (records["type"] == kind)
            & (records["size"] == dtype.itemsize)
            & (records["vcpu"] == self._vcpu)
        )
        return records if good.all() else records[: int(np.argmin(good))]

    def _captures(self, chunk: NDArray[np.uint8]) -> RawCaptures | None:
        """A copy of the capture records that `chunk` begins with; None when it has none."""
        size = int(chunk[2:4].view("<u2")[0])
        if size >= _CAPTURE_SIZE and size % _ALIGN == 0:
            dtype = _record_of(size)
            kind = int(wire.Record.CAPTURE)
            sample = self._uniform(chunk, kind, dtype, _SAMPLE)
            if len(sample) == _SAMPLE or sample.nbytes == len(chunk):
                records = self._uniform(chunk, kind, dtype, _WINDOW)
                self._check_sequence(records["sequence"])
                data = chunk[: records.nbytes].copy()
                return RawCaptures(data, np.arange(len(records)) * (size // _ALIGN), size)
        return self._walked(chunk[:_CAPTURE_WINDOW])

    def _walked(self, chunk: NDArray[np.uint8]) -> RawCaptures | None:
        starts = find_starts(chunk, self._vcpu)
        if not len(starts):
            return None
        words = chunk.view("<u8")
        self._check_sequence(words[starts + _SEQUENCE_WORD])
        last = int(starts[-1])
        end = last * _ALIGN + int(chunk.view("<u2")[last * 4 + 1])
        return RawCaptures(chunk[:end].copy(), starts, 0)

    def _check_sequence(self, found: NDArray[np.uint64]) -> None:
        """Records that follow each other, and the last one before them."""
        expected = np.arange(self._sequence, self._sequence + len(found), dtype=np.uint64)
        if not np.array_equal(found, expected):
            wrong = int(np.argmin(found == expected))
            raise self._out_of_sequence(int(found[wrong]), int(expected[wrong]))
        self._sequence += len(found)

    def _record(self, chunk: NDArray[np.uint8], *, at_end: bool) -> tuple[int, Notice | None]:
        """Size and content of the one record at the start of `chunk` that is a notice."""
        kind, size = (int(value) for value in chunk[:4].view("<u2"))
        # Where no header fits, whatever an earlier round left stands.
        if len(chunk) < _HEADER_SIZE or (kind == wire.Record.PAD and size == 0):
            if not at_end:
                raise self._corrupt("padding in the middle")
            return len(chunk), None
        if size < _HEADER_SIZE or size > len(chunk) or size % _ALIGN:
            raise self._corrupt(f"a record of type {kind} has {size} bytes")
        if kind == wire.Record.PAD:
            return size, None
        return size, self._notice(kind, chunk[:size].copy())

    def _notice(self, kind: int, record: NDArray[np.uint8]) -> Notice:
        makers: dict[int, tuple[np.dtype[np.void], Callable[[NDArray[np.void]], Notice]]] = {
            wire.Record.LOST: (wire.RECORD_LOST, _lost),
            wire.Record.PROBE_CHANGED: (wire.RECORD_CHANGED, _changed),
            wire.Record.PROBE_GONE: (wire.RECORD, _gone),
        }
        dtype, make = makers.get(kind, (None, None))
        if dtype is None or make is None or len(record) < dtype.itemsize:
            raise self._corrupt(f"a record of type {kind} has {len(record)} bytes")
        typed = record[: dtype.itemsize].view(dtype)
        # A LOST record takes no number itself: it carries that of the record behind the gap.
        if kind == wire.Record.LOST:
            self._sequence += int(typed["lost"][0])
            if self._sequence > _MOST_RECORDS:
                raise self._corrupt("more records are lost than there can have been")
        if int(typed["sequence"][0]) != self._sequence:
            raise self._out_of_sequence(int(typed["sequence"][0]), self._sequence)
        if kind != wire.Record.LOST:
            self._sequence += 1
        return make(typed)

    def _out_of_sequence(self, found: int, expected: int) -> MonitorError:
        return self._corrupt(f"record {found} where {expected} was due: records missing or doubled")

    def _corrupt(self, what: str) -> MonitorError:
        message = f"the ring of vCPU {self._vcpu} is damaged at byte {self._next}: {what}"
        return MonitorError(message)


@functools.lru_cache(64)
def _record_of(size: int) -> np.dtype[np.void]:
    """A record of `size` bytes, whatever it holds after its header."""
    return np.dtype([*wire.RECORD.descr, ("rest", f"V{size - _HEADER_SIZE}")])


def _common(record: NDArray[np.void]) -> dict[str, int]:
    return {name: int(record[name][0]) for name in ("vcpu", "slot", "ticks", "pc")}


def _lost(record: NDArray[np.void]) -> Notice:
    return Lost(**_common(record), lost=int(record["lost"][0]))


def _changed(record: NDArray[np.void]) -> Notice:
    return ProbeChanged(
        **_common(record),
        old=int(record["old"][0]),
        new=int(record["new"][0]),
        kept=bool(record["flags"][0] & wire.Change.KEPT),
    )


def _gone(record: NDArray[np.void]) -> Notice:
    return ProbeGone(**_common(record))
