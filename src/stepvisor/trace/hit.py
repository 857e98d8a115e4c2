"""Hits as the user sees them: one at a time, or a batch as columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stepvisor.errors import InputError
from stepvisor.monitor.capture import CaptureLayout, ValueKind

__all__ = ("Batch", "Hit", "Registers", "Value", "format_value")

Value: TypeAlias = int | str | None
"""A captured value: a number, a text, or None where the guest has no memory."""


@dataclass(frozen=True, slots=True)
class Registers:
    """x0 to x5 before the probed instruction ran: at an entry, a function's first arguments."""

    x0: int
    x1: int
    x2: int
    x3: int
    x4: int
    x5: int

    def __str__(self) -> str:
        values = (self.x0, self.x1, self.x2, self.x3, self.x4, self.x5)
        return " ".join(f"x{i}=0x{value:x}" for i, value in enumerate(values))


@dataclass(frozen=True, slots=True)
class Hit:
    """One probe hit."""

    time: float
    """Seconds since the guest's first instruction."""
    vcpu: int
    symbol: str
    """The probe, as symbol or symbol+0x10."""
    pc: int
    """Guest virtual address."""
    x: tuple[int, ...]
    """x0 to x5, empty when the trace captures something else."""
    sequence: int
    """Counts this vCPU's records from 0, lost ones too."""
    values: Mapping[str, Value] = field(default_factory=dict)
    """What the trace captures, by its expression."""
    missing: tuple[str, ...] = ()
    """Expressions for which the guest has no memory: of a text, the part before that is kept."""

    @property
    def regs(self) -> Registers:
        """Registers x0 to x5.

        :raise InputError: When the trace captures something else.
        """
        if not self.x:
            message = f"this trace captures {', '.join(self.values)}: look at hit.values"
            raise InputError(message)
        return Registers(*self.x)

    def __str__(self) -> str:
        head = f"{self.time:10.6f} {self.vcpu:4d}  {self.symbol} "
        if self.x:
            return head + str(self.regs)
        return head + " ".join(
            f"{name}={format_value(value, cut=name in self.missing)}"
            for name, value in self.values.items()
        )


def format_value(value: Value, *, cut: bool = False) -> str:
    """As lines for people show it; a `cut` text ends where the guest has no memory."""
    if isinstance(value, str):
        return repr(value) + ("..." if cut else "")
    return "?" if value is None else hex(value)


@dataclass(frozen=True, slots=True)
class Batch:
    """Hits in the order of their time, as columns of equal length.

    Order holds within a vCPU always, across vCPUs within a batch.
    """

    records: NDArray[np.void]
    """The backend's array: fields ``vcpu``, ``slot``, ``sequence``, ``ticks``, ``pc``, ``x``."""
    start_ticks: int
    frequency: int
    symbols: Mapping[int, str]
    """Probe text by slot."""
    layout: CaptureLayout | None = None
    """What `records` has instead of ``x``: ``faults`` and ``v0``, ``v1``, ..."""

    def __len__(self) -> int:
        return len(self.records)

    @property
    def time(self) -> NDArray[np.float64]:
        """Seconds since the guest's first instruction."""
        ticks = self.records["ticks"].astype(np.int64) - self.start_ticks
        return ticks / float(self.frequency)

    @property
    def vcpu(self) -> NDArray[np.uint8]:
        """VCPU numbers."""
        return self.records["vcpu"]

    @property
    def pc(self) -> NDArray[np.uint64]:
        """Guest virtual addresses."""
        return self.records["pc"]

    @property
    def x(self) -> NDArray[np.uint64]:
        """x0 to x5, one row per hit; no columns when the trace captures something else."""
        if self.layout is not None:
            return np.empty((len(self), 0), np.uint64)
        return self.records["x"]

    @property
    def values(self) -> dict[str, "np.ma.MaskedArray[Any, np.dtype[Any]]"]:
        """Columns of what is captured, by expression; masked where the guest has no memory."""
        if self.layout is None:
            return {f"x{n}": np.ma.MaskedArray(self.x[:, n]) for n in range(self.x.shape[1])}
        faults = self.records["faults"]
        return {
            value.name: np.ma.MaskedArray(
                self.records[f"v{n}"], (faults >> np.uint64(n)) & np.uint64(1) != 0
            )
            for n, value in enumerate(self.layout.values)
        }

    def columns(self) -> dict[str, list[Value]]:
        """:attr:`values` as Python's own, by expression; None where the guest has no memory."""
        if self.layout is None:
            return {f"x{n}": column for n, column in enumerate(self.x.T.tolist())}
        faults = self.records["faults"].tolist()
        return {
            value.name: [
                _value(item, value.kind, faulted=bool(fault >> n & 1))
                for item, fault in zip(self.records[f"v{n}"].tolist(), faults, strict=True)
            ]
            for n, value in enumerate(self.layout.values)
        }

    @property
    def sequence(self) -> NDArray[np.uint64]:
        """Record numbers, per vCPU."""
        return self.records["sequence"]

    @property
    def symbol(self) -> list[str]:
        """Probe of each hit."""
        return [self.symbols[slot] for slot in self.records["slot"].tolist()]

    def head(self, count: int) -> "Batch":
        """The first `count` hits."""
        return replace(self, records=self.records[:count])

    def __iter__(self) -> Iterator[Hit]:
        """The hits one by one."""
        records = self.records
        names = list(self.columns()) if self.layout is not None else []
        values = zip(*self.columns().values(), strict=True) if names else repeat(())
        faults = records["faults"].tolist() if names else repeat(0)
        columns = (
            self.time.tolist(),
            records["vcpu"].tolist(),
            self.symbol,
            records["pc"].tolist(),
            self.x.tolist(),
            records["sequence"].tolist(),
        )
        for row, captured, fault in zip(zip(*columns, strict=True), values, faults, strict=False):
            time, vcpu, symbol, pc, x, sequence = row
            shown = dict(zip(names, captured, strict=True))
            missing = tuple(name for n, name in enumerate(names) if fault >> n & 1)
            yield Hit(time, vcpu, symbol, pc, tuple(x), sequence, shown, missing)


def _value(item: int | bytes, kind: ValueKind, *, faulted: bool) -> Value:
    """A text that could be read in part is that part."""
    if kind is ValueKind.TEXT:
        text = bytes(item)
        return None if faulted and not text else text.decode(errors="backslashreplace")
    return None if faulted else int(item)
