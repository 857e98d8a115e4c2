"""Hits as the user sees them: one at a time, or a batch as columns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ("Batch", "Hit", "Registers")


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
    regs: Registers
    sequence: int
    """Counts this vCPU's records from 0, lost ones too."""

    def __str__(self) -> str:
        return f"{self.time:10.6f} {self.vcpu:4d}  {self.symbol} {self.regs}"


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
        """x0 to x5, one row per hit."""
        return self.records["x"]

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
        return Batch(self.records[:count], self.start_ticks, self.frequency, self.symbols)

    def __iter__(self) -> Iterator[Hit]:
        """The hits one by one."""
        records = self.records
        columns = (
            self.time.tolist(),
            records["vcpu"].tolist(),
            self.symbol,
            records["pc"].tolist(),
            records["x"].tolist(),
            records["sequence"].tolist(),
        )
        for time, vcpu, symbol, pc, x, sequence in zip(*columns, strict=True):
            yield Hit(time, vcpu, symbol, pc, Registers(*x), sequence)
