"""What takes more than a case: computations, storms of interrupts, contended locks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepvisor.conformance.target import Interrupts

__all__ = ("SCENARIOS", "Scenario")

# A storm's last argument is the distance of its interrupts, at most, in units of 16 ns, as a mask.
# In a flood the next is there whenever a handler returns, and yet what it interrupted must end.

_FIRST, _SECOND = 1, 2
"""Who is stepped."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the guest's scenarios."""

    name: str
    number: int
    arguments: tuple[int, ...]
    judge: Callable[[Sequence[int]], str | None]
    """Of its results: what is wrong, None if nothing is."""
    interrupts: Interrupts = Interrupts.STEP
    least_steps: int = 1
    """Instructions that must have been stepped."""
    scaled: int | None = 0
    """Which argument counts the work; None when it is always the same."""

    def scaled_by(self, factor: float) -> tuple[int, ...]:
        """The arguments for more or less work."""
        values = list(self.arguments)
        if self.scaled is not None:
            values[self.scaled] = max(int(values[self.scaled] * factor), 1)
        return tuple(values)


def _equal(results: Sequence[int]) -> str | None:
    free, stepped = results[:2]
    return None if free == stepped else f"0x{stepped:x} computed stepped, 0x{free:x} natively"


def _storm(results: Sequence[int]) -> str | None:
    if results[3]:
        return f"{results[3]} interrupts that nobody had asked for, or of stepped code"
    return _equal(results)


def _all_taken(results: Sequence[int]) -> str | None:
    sent, taken, others = results[:3]
    if sent != taken or others:
        return f"{taken} interrupts taken, {others} of them of stepped code, but {sent} were sent"
    return None


def _exact(results: Sequence[int]) -> str | None:
    wanted, counted, wrong = results[:3]
    if counted != wanted or wrong:
        return f"counted to {counted}, not to {wanted}; {wrong} were not alone inside"
    return None


_LOCKS = (("spinlock", 4), ("ticket-lock", 5), ("counter", 6), ("pair", 7))
_WHO = (("first", _FIRST), ("second", _SECOND), ("both", _FIRST | _SECOND))

SCENARIOS = (
    Scenario("compute", 1, (40,), _equal, least_steps=10_000),
    *(
        Scenario(name, 2, (2, 100, mask), _storm, way)
        for name, mask, way in (
            ("timer-storm-step", 0xFFF, Interrupts.STEP),
            ("timer-flood-step", 0, Interrupts.STEP),
            ("timer-storm-step-aside", 0xFFF, Interrupts.STEP_ASIDE),
        )
    ),
    *(
        Scenario(f"priorities-{way.name.lower().replace('_', '-')}", 8, (20,), _storm, way)
        for way in Interrupts
    ),
    *(
        Scenario(f"sgi-storm-{way.name.lower().replace('_', '-')}", 3, (200,), _all_taken, way)
        for way in Interrupts
    ),
    *(
        Scenario(f"{name}-{who}", number, (300, bits), _exact)
        for name, number in _LOCKS
        for who, bits in _WHO
    ),
)
