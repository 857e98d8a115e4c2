"""The parts of a run, each of which adds its rows and ratios to the results."""

from collections.abc import Callable

from bench import floors, many, scaling
from bench.callback import measure_callback
from bench.results import BARE, Ratio, Results, Series
from bench.settings import Settings

__all__ = ("Stage", "bare_section", "many_section")

Stage = Callable[[str], Callable[[], None]]
"""Says what is measured now; returns what to call when a piece of it is done."""


_FLOOR_ROWS = {
    "bare_smc": "floor: SMC trap, nothing done",
    "bare_record": "floor: SMC trap, a record in a ring",
    "hit": "hit, emulated (mov x9, x30), 6 registers recorded",
    "hit_nop": "hit, emulated (nop)",
    "hit_add": "hit, emulated (add)",
    "hit_pac": "hit, emulated (paciasp)",
    "predicate_reject": "hit, rejected by a predicate",
    "hit_stepped": "hit, stepped (plan: step)",
    "hit_region": "hit on an exclusive sequence, stepped to its end",
    "bare_step": "floor: step trap, nothing done",
    "step": "step, all registers recorded",
    "step_silent": "step, not recorded",
}


def bare_section(results: Results, settings: Settings, stage: Stage) -> None:
    """Hits and steps against their floors; callbacks."""
    with floors.open_bench() as bench:
        found = floors.measure_floors(
            bench, settings.floor_rounds, more=settings.full, tick=stage("hits, steps, floors")
        )
    for name, what in _FLOOR_ROWS.items():
        if name in found:
            results.add(BARE, what, found[name])
    for key, (over, under) in floors.RATIOS.items():
        results.ratios[key] = Ratio.paired(found[over], found[under])
    if settings.full:
        tick = stage("callbacks")
        results.add(BARE, "HVC answered by a Python function", measure_callback(settings.rounds))
        tick()
    results.kept["step"] = found["step"]


def many_section(results: Results, settings: Settings, stage: Stage) -> None:
    """Cost against the number of probes; with full settings against vCPUs and captures, too."""
    counts = many.COUNTS if settings.full else (1, many.PLACES)
    with many.open_many(counts) as bench:
        hot = many.measure_hot(bench, settings.many_rounds, stage("many probes"))
        spread, floor = many.measure_spread(bench, settings.rounds, stage("many probes, each"))
    results.ratios["hit_60000_probes_vs_1"] = Ratio.paired(hot[many.PLACES], hot[1])
    curves = {"one of them hit": hot, "each hit in turn": spread, "floor, each in turn": floor}
    results.add_series(Series("number of probes", "probes armed", curves))
    if settings.full:
        hits, bare = scaling.measure_vcpus(settings.rounds, stage("vCPUs"))
        curves = {"hit": hits, "floor": bare}
        results.add_series(Series("vCPUs that hit", "vCPUs", curves))
        registers, memory = scaling.measure_capture(settings.rounds, stage("captures"))
        curves = {"registers": registers, "guest memory": memory}
        results.add_series(Series("capture size", "numbers of 8 bytes captured", curves))
