"""Interleaved repetitions, and what is said of them: median, quartiles, ratios round by round."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ("Sample", "interleave")


@dataclass(frozen=True, slots=True)
class Sample:
    """One quantity, measured once a round."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """First and third quartile."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high

    def __sub__(self, other: "Sample") -> "Sample":
        """Difference round by round."""
        return Sample(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))

    def __truediv__(self, other: "Sample") -> "Sample":
        """Ratio round by round: what slowed the machine down in a round slowed down both."""
        return Sample(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def and_another(self, value: float) -> "Sample":
        """With one round more."""
        return Sample((*self.values, value))

    def scaled(self, factor: float) -> "Sample":
        """Every value times `factor`."""
        return Sample(tuple(value * factor for value in self.values))


def interleave(
    variants: Mapping[str, Callable[[], float]],
    rounds: int,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, Sample]:
    """Measure every variant once a round, every other round backwards; `tick` after each."""
    order = list(variants)
    values: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds):
        for name in order[:: -1 if number % 2 else 1]:
            values[name].append(variants[name]())
            tick()
    return {name: Sample(tuple(found)) for name, found in values.items()}
