"""Hits and steps against the floors: what a trap costs an EL2 that does nothing with it.

``python -m bench.floors`` measures these alone, in a few seconds: a tool for those who make the
monitor faster.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.bare import FloorMachine, MonitorMachine
from bench.command import run_command
from bench.guests import build_floor, build_payload
from bench.sampling import Sample, interleave
from stepvisor.machine.config import DEFAULT_CPU
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.monitor.vocabulary import Action, Event, StepEnd, StepOption, Until
from stepvisor.probe.plan import Method
from stepvisor.probe.program import read_program

__all__ = ("HITS", "RATIOS", "STEP_ROUNDS", "Bench", "measure_floors", "open_bench")

HITS = 30_000
"""A round's, so that a ring holds all of their records and none has to wait for the host."""

STEP_ROUNDS = 500
"""Of the loop that is stepped; its records fit into a ring, too."""

_STEPPED_HITS = 2_000
_SLOTS = ("loop_move", "loop_nop", "loop_add", "loop_pac")


@dataclass(frozen=True, slots=True)
class Bench:
    """Two machines with the same payload."""

    floor: FloorMachine
    monitor: MonitorMachine

    @property
    def steps(self) -> int:
        """Instructions in a run of the loop that is stepped."""
        symbols = self.floor.payload.symbols
        return (symbols["step_loop_end"] - symbols["step_loop"]) // 4 * STEP_ROUNDS

    def floor_hit(self, routine: str = "loop_trap") -> float:
        """Seconds of an SMC that goes to EL2 and back; `loop_record` leaves a record there."""
        with self.floor.awake():
            return self._each(self.floor, routine, HITS)

    def floor_step(self) -> float:
        """Seconds of a step exception that does nothing but ask for the next one."""
        with self.floor.awake():
            return self.floor.time("step_entry", STEP_ROUNDS, floor_steps=True) / self.steps

    def hit(self, routine: str, count: int = HITS) -> float:
        """Seconds of a hit in `routine`, which is probed already."""
        with self.monitor.awake():
            return self._each(self.monitor, routine, count)

    def step(self, options: StepOption) -> float:
        """Seconds of one instruction that the monitor steps, of a whole run of the loop."""
        backend = self.monitor.monitor
        with self.monitor.awake():
            backend.configure_step(options, StepEnd(Until.RETURN))
            return self.monitor.time("step_entry", STEP_ROUNDS) / self.steps

    @staticmethod
    def _each(machine: FloorMachine | MonitorMachine, routine: str, count: int) -> float:
        return (machine.time(routine, count) - machine.time("loop_base", count)) / count


@contextlib.contextmanager
def open_bench(cpu: str = DEFAULT_CPU) -> Iterator[Bench]:
    """Both machines, with every probe that the variants of :func:`floor_variants` need armed."""
    payload = build_payload("loop")
    with (
        FloorMachine(payload, build_floor(), cpu=cpu) as floor,
        MonitorMachine(payload, cpu=cpu) as monitor,
    ):
        with monitor.awake():
            monitor.monitor.listen(on=True)
            monitor.monitor.set_events({Event.SINGLESTEP})
            monitor.monitor.arm(_probes(monitor))
        yield Bench(floor, monitor)


def _probes(machine: MonitorMachine) -> list[ProbeRequest]:
    asked = read_program(where="x0 > 0xffffffff")
    assert asked is not None
    reject = machine.monitor.load_program(asked.program())
    return [
        *(machine.request(f"{name}_site") for name in (*_SLOTS, "loop_exclusive")),
        machine.request("loop_reject_site", program=reject),
        machine.request("loop_step_site", method=Method.STEP),
        replace(machine.request("step_entry"), action=Action.STEP_START),
    ]


def floor_variants(bench: Bench) -> dict[str, Callable[[], float]]:
    """What the ratios need; each returns the seconds of one event."""
    return {
        "bare_smc": bench.floor_hit,
        "hit": lambda: bench.hit("loop_move"),
        "predicate_reject": lambda: bench.hit("loop_reject"),
        "bare_step": bench.floor_step,
        "step": lambda: bench.step(StepOption(0)),
    }


def more_variants(bench: Bench) -> dict[str, Callable[[], float]]:
    """Other displaced instructions, other plans."""
    return {
        **{f"hit_{name.removeprefix('loop_')}": _hit(bench, name) for name in _SLOTS[1:]},
        "bare_record": lambda: bench.floor_hit("loop_record"),
        "step_silent": lambda: bench.step(StepOption.SILENT),
        "hit_stepped": lambda: bench.hit("loop_step", _STEPPED_HITS),
        "hit_region": lambda: bench.hit("loop_exclusive", _STEPPED_HITS),
    }


RATIOS = {
    "emulated_hit_vs_bare_smc": ("hit", "bare_smc"),
    "predicate_reject_vs_bare_smc": ("predicate_reject", "bare_smc"),
    "step_vs_bare_step": ("step", "bare_step"),
}
"""Keys of the JSON: what over what."""


def measure_floors(
    bench: Bench, rounds: int, *, more: bool = False, tick: Callable[[], None] = lambda: None
) -> dict[str, Sample]:
    """Seconds of one event, by variant."""
    variants = floor_variants(bench)
    if more:
        variants |= more_variants(bench)
    return interleave(variants, rounds, tick)


def _hit(bench: Bench, routine: str) -> Callable[[], float]:
    return lambda: bench.hit(routine)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.floors", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="repetitions, interleaved")
    parser.add_argument("--more", action="store_true", help="other instructions and plans, too")
    parser.add_argument("--cpu", default=DEFAULT_CPU, help="QEMU CPU model (default: %(default)s)")
    arguments = parser.parse_args()
    return run_command(lambda: _report(arguments))


def _report(arguments: argparse.Namespace) -> int:
    with open_bench(arguments.cpu) as bench:
        samples = measure_floors(bench, arguments.rounds, more=arguments.more)
        blocked = sum(c.blocked_ticks for c in bench.monitor.monitor.counters())
    for name, sample in samples.items():
        low, high = sample.spread
        sys.stdout.write(
            f"{name:24} {sample.median * 1e9:8.0f} ns  ({low * 1e9:.0f} to {high * 1e9:.0f})\n"
        )
    for key, (over, under) in RATIOS.items():
        ratio = samples[over] / samples[under]
        low, high = ratio.spread
        sys.stdout.write(f"{key:32} {ratio.median:.3f}  ({low:.3f} to {high:.3f})\n")
    if blocked:
        sys.stdout.write(f"waited for the host: {blocked} counter ticks\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
