"""Histograms whose buckets double in width."""

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ("Bucket", "Histogram")


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many values were in a range."""

    low: int
    high: int
    """Last value of the range."""
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by the number of significant bits of a value, taken as unsigned."""

    counts: tuple[int, ...]
    """Element n: values of n bits; the last one also those of more."""

    @property
    def total(self) -> int:
        """Values counted."""
        return sum(self.counts)

    def __iter__(self) -> Iterator[Bucket]:
        """From the first bucket that is not empty to the last one."""
        used = [bits for bits, count in enumerate(self.counts) if count]
        for bits in range(used[0], used[-1] + 1) if used else ():
            low = 1 << (bits - 1) if bits else 0
            last = bits == len(self.counts) - 1
            high = (1 << 64) - 1 if last else (1 << bits) - 1
            yield Bucket(low, high, self.counts[bits])

    def __str__(self) -> str:
        width = max((len(f"{b.low:,}") for b in self), default=0)
        most = max(self.counts, default=0)
        lines = [
            f"{bucket.low:>{width},} ..  {bucket.count:>10,}  {'#' * _bar(bucket.count, most)}"
            for bucket in self
        ]
        return "\n".join(lines)


def _bar(count: int, most: int) -> int:
    """Characters; at least one for what is there."""
    return max(count * 50 // most, 1) if count else 0
