"""The benchmarks measure what they say they do: so many hits, so many steps, nothing else."""

import math
from collections.abc import Iterator

import pytest

from bench.bare import BareMachine
from bench.floors import HITS, RATIOS, STEP_ROUNDS, Bench, measure_floors, open_bench
from bench.results import Ratio
from stepvisor.monitor.vocabulary import StepOption

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench() as opened:
        yield opened


def counters(bench: Bench) -> dict[str, int]:
    found = bench.monitor.monitor.counters()[0]
    names = ("hits", "emulated", "rejected", "steps", "trace_steps", "exclusives", "lost")
    return {name: getattr(found, name) for name in names}


def counted(bench: Bench, before: dict[str, int]) -> dict[str, int]:
    return {name: n - before[name] for name, n in counters(bench).items() if n != before[name]}


def test_a_hit_is_a_hit(bench: Bench) -> None:
    before = counters(bench)
    assert bench.hit("loop_move") > 0
    assert counted(bench, before) == {"hits": HITS, "emulated": HITS}


def test_a_rejected_hit_leaves_no_record(bench: Bench) -> None:
    before = counters(bench)
    assert bench.hit("loop_reject") > 0
    assert counted(bench, before) == {"hits": HITS, "emulated": HITS, "rejected": HITS}


def test_a_stepped_hit_and_an_exclusive_sequence(bench: Bench) -> None:
    before = counters(bench)
    assert bench.hit("loop_step", 100) > 0
    assert counted(bench, before) == {"hits": 100, "steps": 100}

    before = counters(bench)
    assert bench.hit("loop_exclusive", 100) > 0
    assert counted(bench, before)["exclusives"] == 100


def test_every_instruction_of_the_loop_is_stepped(bench: Bench) -> None:
    before = counters(bench)
    assert bench.step(StepOption(0)) > 0
    found = counted(bench, before)
    assert bench.steps <= found["trace_steps"] <= bench.steps + 2
    assert "lost" not in found


def test_the_floor_traps_at_every_smc_and_every_step(bench: Bench) -> None:
    """Hundreds of times what the loops take without a trap."""

    def free(machine: BareMachine, routine: str, count: int) -> float:
        """The best of a few: the first one is translated first."""
        with machine.awake():
            return min(machine.time(routine, count) for _ in range(5))

    free_loop = free(bench.floor, "loop_base", HITS) / HITS
    free_step = free(bench.floor, "step_entry", STEP_ROUNDS) / bench.steps
    assert bench.floor_hit() > 20 * free_loop
    assert bench.floor_step() > 20 * free_step


def test_ratios_are_positive_numbers(bench: Bench) -> None:
    samples = measure_floors(bench, 2)
    ratios = [Ratio.paired(samples[over], samples[under]) for over, under in RATIOS.values()]
    assert all(0 < ratio.value < math.inf for ratio in ratios)
