"""A sum over steps."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from stepvisor.monitor.vocabulary import Outcome
from stepvisor.trace.step import Step

__all__ = ("StepCount",)


@dataclass(slots=True)
class StepCount:
    """Grows with every step that passes through :meth:`watch`."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)
    """Instructions by function; those outside the kernel's Image under the empty name."""
    deepest: int = 0
    first: float = 0.0
    """Guest time of the first step in seconds."""
    last: float = 0.0
    skipped: int = 0
    """Interrupts whose handlers ran freely."""
    over: int = 0
    """Functions that ran freely."""

    def watch(self, steps: Iterable[Step]) -> Iterator[Step]:
        """The same steps, counted."""
        for step in steps:
            self.add(step)
            yield step

    def add(self, step: Step) -> None:
        """Count one step."""
        if not self.outcomes:
            self.first = step.time
        self.last = step.time
        self.outcomes[step.outcome] += 1
        self.deepest = max(self.deepest, step.depth)
        if step.text:
            self.functions[step.symbol] += 1
        if step.outcome is Outcome.RESUMED:
            self.skipped += step.pc == step.address
            self.over += step.pc != step.address

    @property
    def instructions(self) -> int:
        """Stepped one by one."""
        return sum(
            self.outcomes[outcome]
            for outcome in (Outcome.STEPPED, Outcome.EMULATED, Outcome.EXCEPTION)
        )

    @property
    def exceptions(self) -> int:
        """Instructions that took a synchronous exception."""
        return self.outcomes[Outcome.EXCEPTION]

    @property
    def interrupts(self) -> int:
        """Interrupts whose handlers were stepped."""
        return self.outcomes[Outcome.INTERRUPT]

    @property
    def seconds(self) -> float:
        """Guest time from the first step to the last one."""
        return self.last - self.first
