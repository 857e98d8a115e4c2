"""What a hit costs when there are many probes: one of them hit all the time, and each in turn."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.bare import FloorMachine, MonitorMachine
from bench.floors import HITS
from bench.guests import build_floor, build_payload
from bench.sampling import Sample, interleave

__all__ = ("COUNTS", "PLACES", "ManyBench", "measure_hot", "measure_spread", "open_many")

PLACES = 60_000
COUNTS = (1, 100, 10_000, PLACES)
"""How many probes are armed."""

_SPACING = 256
_SPREAD_HITS = 60_000


@dataclass(frozen=True, slots=True)
class ManyBench:
    """Machines that differ in how many probes are armed."""

    monitors: dict[int, MonitorMachine]
    floor: FloorMachine

    def hot(self, count: int) -> float:
        """Seconds of a hit of one of `count` probes, always the same."""
        machine = self.monitors[count]
        with machine.awake():
            base = machine.time("loop_base", HITS)
            return (machine.time("loop_move", HITS) - base) / HITS

    def spread(self, count: int) -> float:
        """Seconds of a hit when each of `count` probes is hit in turn."""
        return _sled(self.monitors[count], "sled_probed", count)

    def floor_spread(self, count: int) -> float:
        """The same with SMCs that the floor returns from."""
        return _sled(self.floor, "sled_trap", count)


@contextlib.contextmanager
def open_many(counts: tuple[int, ...]) -> Iterator[ManyBench]:
    """Boot a machine for each number of probes and arm them."""
    payload = build_payload("loop")
    with contextlib.ExitStack() as stack:
        floor = stack.enter_context(FloorMachine(payload, build_floor()))
        monitors = {}
        for count in counts:
            machine = stack.enter_context(MonitorMachine(payload))
            _arm(machine, count)
            monitors[count] = machine
        yield ManyBench(monitors, floor)


def measure_hot(bench: ManyBench, rounds: int, tick: Callable[[], None]) -> dict[int, Sample]:
    """By number of probes."""
    return _measure(bench.hot, bench.monitors, rounds, tick)


def measure_spread(
    bench: ManyBench, rounds: int, tick: Callable[[], None]
) -> tuple[dict[int, Sample], dict[int, Sample]]:
    """Of the monitor and of the floor, by number of probes."""
    return (
        _measure(bench.spread, bench.monitors, rounds, tick),
        _measure(bench.floor_spread, bench.monitors, rounds, tick),
    )


def _measure(
    variant: Callable[[int], float],
    counts: dict[int, MonitorMachine],
    rounds: int,
    tick: Callable[[], None],
) -> dict[int, Sample]:
    variants = {str(count): _bound(variant, count) for count in counts}
    return {int(name): found for name, found in interleave(variants, rounds, tick).items()}


def _bound(variant: Callable[[int], float], count: int) -> Callable[[], float]:
    return lambda: variant(count)


def _arm(machine: MonitorMachine, count: int) -> None:
    """One probe in the hot loop, the others in the sled; without a probe it was run once."""
    end = machine.payload.symbols["sled_probed_end"]
    with machine.awake():
        machine.time("sled_probed", _argument(PLACES, 1))
        places = [end - number * _SPACING for number in range(1, count + 1)]
        machine.monitor.arm(
            [machine.request(place) for place in places[: PLACES - 1]]
            + [machine.request("loop_move_site")]
        )


def _sled(machine: FloorMachine | MonitorMachine, routine: str, count: int) -> float:
    times = max(_SPREAD_HITS // count, 1)
    with machine.awake():
        return machine.time(routine, _argument(count, times)) / (count * times)


def _argument(places: int, times: int) -> int:
    return places | times << 32
