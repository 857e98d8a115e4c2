"""Cost of a hit against the number of vCPUs that hit, and against what is captured."""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from bench.bare import FloorMachine, MonitorMachine
from bench.floors import HITS
from bench.guests import build_floor, build_payload
from bench.sampling import Sample, interleave
from stepvisor.probe.program import read_program

__all__ = ("VCPUS", "WORDS", "measure_capture", "measure_vcpus")

VCPUS = (1, 2, 4)
WORDS = (1, 2, 4, 8, 16)
"""Numbers in a captured record."""


def measure_vcpus(
    rounds: int, tick: Callable[[], None]
) -> tuple[dict[int, Sample], dict[int, Sample]]:
    """Seconds that a hit takes a vCPU while all of them hit: the monitor's, the floor's."""
    payload = build_payload("loop")
    with contextlib.ExitStack() as stack:
        floor = build_floor()
        variants = {}
        for vcpus in VCPUS:
            monitor = stack.enter_context(MonitorMachine(payload, vcpus=vcpus))
            with monitor.awake():
                monitor.monitor.arm([monitor.request("loop_move_site")])
            bare = stack.enter_context(FloorMachine(payload, floor, vcpus=vcpus))
            variants[f"monitor {vcpus}"] = _each(monitor, "loop_move")
            variants[f"floor {vcpus}"] = _each(bare, "loop_trap")
        found = interleave(variants, rounds, tick)
    return (
        {vcpus: found[f"monitor {vcpus}"] for vcpus in VCPUS},
        {vcpus: found[f"floor {vcpus}"] for vcpus in VCPUS},
    )


def measure_capture(
    rounds: int, tick: Callable[[], None]
) -> tuple[dict[int, Sample], dict[int, Sample]]:
    """Seconds of a hit that captures as many registers, and as many words of guest memory."""
    registers = {n: [f"x{i}" for i in range(n)] for n in WORDS}
    memory = {n: [f"[sp + {8 * i}]" for i in range(n)] for n in WORDS}
    with MonitorMachine(build_payload("loop")) as machine:
        variants = {f"registers {n}": _captured(machine, asked) for n, asked in registers.items()}
        variants |= {f"memory {n}": _captured(machine, asked) for n, asked in memory.items()}
        found = interleave(variants, rounds, tick)
    return (
        {words: found[f"registers {words}"] for words in WORDS},
        {words: found[f"memory {words}"] for words in WORDS},
    )


def _each(machine: MonitorMachine | FloorMachine, routine: str) -> Callable[[], float]:
    def measure() -> float:
        with machine.awake():
            base = machine.time("loop_base", HITS)
            return (machine.time(routine, HITS) - base) / HITS

    return measure


def _captured(machine: MonitorMachine, capture: list[str]) -> Callable[[], float]:
    asked = read_program(capture=capture)
    assert asked is not None
    program = asked.program()
    hits = HITS // max(len(capture) // 4, 1)

    def measure() -> float:
        with machine.awake():
            number = machine.monitor.load_program(program)
            request = replace(machine.request("loop_capture_site"), program=number)
            with machine.probing([request]):
                base = machine.time("loop_base", hits)
                return (machine.time("loop_capture", hits) - base) / hits

    return measure
