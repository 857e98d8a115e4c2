"""Captured values: from records of different sizes to columns.

A record holds one value after the other, numbers in 8 bytes, strings as long as they are. Nothing
here looks at records one by one.
"""

import enum
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import MonitorError

__all__ = ("CaptureLayout", "CapturedValue", "RawCaptures", "ValueKind", "find_starts")

_WORD = 8
_FIRST_VALUE = wire.RECORD_CAPTURE.itemsize // _WORD
_CUT = np.uint64(1 << 63)


class ValueKind(enum.Enum):
    """How a captured value is to be read."""

    UNSIGNED = "<u8"
    SIGNED = "<i8"
    TEXT = "S"


@dataclass(frozen=True, slots=True)
class CapturedValue:
    """One column."""

    name: str
    kind: ValueKind
    limit: int = 0
    """Of TEXT: bytes at most."""


@dataclass(frozen=True, slots=True)
class RawCaptures:
    """Capture records of one vCPU in its order, as the hypervisor wrote them."""

    data: NDArray[np.uint8]
    """Whole records, one after the other."""
    starts: NDArray[np.int64]
    """Where each begins, in words of 8 bytes."""
    size: int
    """Bytes of each record, 0 when they differ."""

    def of(self, slots: NDArray[np.bool_]) -> "RawCaptures":
        """Those of the probes in ``slots[slot]``."""
        wanted = slots[self._slots]
        if wanted.all():
            return self
        if not self.size:
            return RawCaptures(self.data, self.starts[wanted], 0)
        rows = self.data.reshape(-1, self.size)[wanted]
        starts = np.arange(len(rows)) * (self.size // _WORD)
        return RawCaptures(rows.reshape(-1), starts, self.size)

    @property
    def _slots(self) -> NDArray[np.uint16]:
        return self.data.view("<u2")[self.starts * 4 + 3]


def find_starts(chunk: NDArray[np.uint8], vcpu: int) -> NDArray[np.int64]:
    """Where, in words, the capture records of `vcpu` begin that `chunk` begins with.

    The first record leads to the second and so on; that walk is doubled in length with every round.
    """
    halves = chunk[: len(chunk) // _WORD * _WORD].view("<u2")
    count = len(halves) // 4
    size = halves[1::4].astype(np.int64)
    place = np.arange(count)
    good = (
        (halves[0::4] == wire.Record.CAPTURE)
        & ((halves[2::4] & 0xFF) == vcpu)
        & (size >= wire.RECORD_CAPTURE.itemsize)
        & (size % _WORD == 0)
        & (place + size // _WORD <= count)
    )
    jump = np.append(np.where(good, place + size // _WORD, count), count)
    walk = np.zeros(1, np.int64)
    while walk[-1] != count:
        walk = np.concatenate([walk, jump[walk]])
        jump = jump[jump]
    walk = walk[walk < count]
    bad = ~good[walk]
    return walk[: int(bad.argmax())] if bad.any() else walk


@dataclass(frozen=True)
class CaptureLayout:
    """What the programs of a trace put into a record, in order."""

    values: tuple[CapturedValue, ...]

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """One hit: header, ``faults`` (bit n: value n was not readable), and v0, v1, ...

        Without text it is the record itself.
        """
        columns = [
            (f"v{n}", f"S{value.limit}" if value.kind is ValueKind.TEXT else value.kind.value)
            for n, value in enumerate(self.values)
        ]
        header = [(name, wire.RECORD_CAPTURE[name].str) for name in wire.RECORD_CAPTURE.names or ()]
        return np.dtype([*header, *columns])

    def decode(self, raw: RawCaptures) -> NDArray[np.void]:
        """An array of :attr:`dtype`.

        :raise MonitorError: When a record has another layout.
        """
        if raw.size == self.dtype.itemsize and not self._has_text:
            return raw.data.view(self.dtype)
        records = np.zeros(len(raw.starts), self.dtype)
        words = raw.data.view("<u8")
        if not len(records):
            return records
        header = np.ascontiguousarray(words[raw.starts[:, None] + np.arange(_FIRST_VALUE)])
        header = header.view(wire.RECORD_CAPTURE)[:, 0]
        for name in wire.RECORD_CAPTURE.names or ():
            records[name] = header[name]
        ends = raw.starts + header["size"] // _WORD
        at = raw.starts + _FIRST_VALUE
        for n, value in enumerate(self.values):
            _inside(at < ends)
            if value.kind is ValueKind.TEXT:
                records[f"v{n}"], at = _texts(words, at, ends, value.limit)
            else:
                records[f"v{n}"] = words[at].view(value.kind.value)
                at = at + 1
        _inside(at == ends)
        return records

    @cached_property
    def _has_text(self) -> bool:
        return any(value.kind is ValueKind.TEXT for value in self.values)


def _texts(
    words: NDArray[np.uint64], at: NDArray[np.int64], ends: NDArray[np.int64], limit: int
) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """The strings whose lengths are at `at`, and the places behind them."""
    lengths = (words[at] & ~_CUT).astype(np.int64)
    _inside((lengths >= 0) & (lengths <= limit))
    behind = at + 1 + (lengths + _WORD - 1) // _WORD
    _inside(behind <= ends)
    most = (limit + _WORD - 1) // _WORD
    places = np.minimum(at[:, None] + 1 + np.arange(most), len(words) - 1)
    text = np.ascontiguousarray(words[places]).view(np.uint8)[:, :limit]
    text = np.where(np.arange(limit) < lengths[:, None], text, np.uint8(0))
    return text.view(f"S{limit}")[:, 0], behind


def _inside(held: NDArray[np.bool_]) -> None:
    if not held.all():
        message = "a capture record is damaged: its values do not fill it"
        raise MonitorError(message)
