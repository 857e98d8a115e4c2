"""A displaced instruction leaves the state that it leaves without a probe, whatever its class."""

import functools
import re
from collections import Counter
from dataclasses import dataclass

import pytest
from bare import CPUS, BareGuest, Report, load_payload, run_native

from stepvisor.monitor.interface import VcpuCounters

pytestmark = pytest.mark.system

_REGION_FAULT = "ldxr_fault"

_EXCLUSIVE = {
    "ldxr",
    "ldaxr_w",
    "ldxp",
    "ldxrb",
    "ldxr_leaves",
    "ldxr_stays",
    "ldxr_nested_branch",
    "ldxr_alone",
}
"""An interrupt in the sequence makes the guest repeat it, as it does without a monitor."""

_CASE = re.compile(r"(\w+) vector 0x(\w+) esr 0x(\w+) pc 0x(\w+) irqs \d+")
_BREAKPOINT_SAME = 0x31
_PASSES = 3


@dataclass(frozen=True)
class _Run:
    names: list[str]
    hits: Counter[str]
    counters: VcpuCounters
    report: Report

    @property
    def reached(self) -> set[str]:
        """Cases that come to their probed instruction: not stopped by an exception before it."""
        symbols = load_payload("displaced").symbols
        reached = set()
        for line in self.report.lines("CASE: "):
            match = _CASE.fullmatch(line)
            assert match, line
            name, esr, pc = match[1], int(match[3], 16), int(match[4], 16)
            probe = symbols[f"probe_{name}"]
            before = symbols[f"case_{name}"] <= pc < probe
            breakpoint_there = pc == probe and esr >> 26 == _BREAKPOINT_SAME
            if not before and not breakpoint_there:
                reached.add(name)
        return reached - {_REGION_FAULT}


@functools.cache
def _run(cpu: str) -> _Run:
    symbols = load_payload("displaced").symbols
    names = sorted(
        (name.removeprefix("probe_") for name in symbols if name.startswith("probe_")),
        key=lambda name: symbols[f"probe_{name}"],
    )
    with BareGuest("displaced", cpu=cpu) as guest:
        guest.ready("recorded")
        requests = guest.arm(*(f"probe_{name}" for name in names if name != _REGION_FAULT))
        guest.go()
        guest.ready("probed")
        counters = guest.monitor.counters()[0]
        guest.disarm(requests)
        guest.go()
        report = guest.finish()
        labels = {request.slot: request.label.removeprefix("probe_") for request in requests}
        hits = Counter(labels[slot] for slot in guest.hits["slot"].tolist())
    return _Run(names, hits, counters, report)


@pytest.mark.parametrize("cpu", CPUS)
def test_state_is_the_same_with_and_without_probe(cpu: str) -> None:
    run = _run(cpu)

    assert run.report.failures == []
    # Three passes over every case: twice unprobed, once probed in between.
    assert run.report.passed == _PASSES * len(run.names)


@pytest.mark.parametrize("cpu", CPUS)
def test_each_probe_is_hit_once_and_each_step_arrives(cpu: str) -> None:
    run = _run(cpu)

    retried = {name for name, count in run.hits.items() if count > 1}
    assert set(run.hits) == run.reached
    assert retried <= _EXCLUSIVE
    assert run.counters.hits == run.counters.steps == run.hits.total()
    assert (run.counters.derailed, run.counters.astray, run.counters.lost) == (0, 0, 0)


@pytest.mark.parametrize("cpu", CPUS)
def test_unprobed_guest_takes_the_exceptions_of_the_bare_machine(cpu: str) -> None:
    native = run_native("displaced", cpu=cpu)

    assert native.failures == []
    assert _run(cpu).report.lines("CASE: ") == native.lines("CASE: ")


def test_fault_in_an_exclusive_region_ends_at_the_vector() -> None:
    with BareGuest("displaced") as guest:
        guest.ready("recorded")
        guest.arm(f"probe_{_REGION_FAULT}")
        guest.go()
        guest.ready("probed")

        assert guest.hits_of(1) == 1
        assert guest.total("steps_to_vector") == 1
        guest.assert_clean()
