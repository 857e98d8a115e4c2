"""A displaced instruction leaves the state that it leaves without a probe, whatever its class."""

import functools
import re
from collections import Counter
from dataclasses import dataclass

import pytest
from bare import CPUS, BareGuest, Report, load_payload, run_native

from stepvisor.monitor.interface import Plan, Trap, VcpuCounters
from stepvisor.probe.plan import Method

pytestmark = pytest.mark.system

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

_WITHOUT_OWN_STEPS_AT_EL1 = 1
"""Variable left_out of tests/guests/displaced.c."""


@dataclass(frozen=True)
class _Way:
    """How the cases are probed."""

    cpu: str
    method: Method | None
    trap: Trap

    def __str__(self) -> str:
        method = "emulate" if self.method is None else self.method.value
        return f"{self.cpu}-{method}-{self.trap.name}"


_WAYS = (
    *(_Way(cpu, Method.STEP, Trap.SMC) for cpu in CPUS),
    *(_Way(cpu, None, Trap.SMC) for cpu in CPUS),
    *(_Way(cpu, None, Trap.BRK) for cpu in (CPUS[0], CPUS[-1])),
    _Way(CPUS[-1], Method.STEP, Trap.BRK),
)

_each_way = pytest.mark.parametrize("way", _WAYS, ids=str)


@dataclass(frozen=True)
class _Run:
    names: list[str]
    hits: Counter[str]
    emulated: set[str]
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
        return reached


@functools.cache
def _run(way: _Way) -> _Run:
    symbols = load_payload("displaced").symbols
    names = sorted(
        (name.removeprefix("probe_") for name in symbols if name.startswith("probe_")),
        key=lambda name: symbols[f"probe_{name}"],
    )
    with BareGuest("displaced", cpu=way.cpu) as guest:
        guest.ready("recorded")
        probes = (f"probe_{name}" for name in names)
        requests = guest.arm(*probes, method=way.method, trap=way.trap)
        guest.go()
        guest.ready("probed")
        counters = guest.monitor.counters()[0]
        guest.disarm(requests)
        guest.go()
        report = guest.finish()
        labels = {request.slot: request.label.removeprefix("probe_") for request in requests}
        hits = Counter(labels[slot] for slot in guest.hits["slot"].tolist())
    emulated = {labels[r.slot] for r in requests if r.plan is Plan.EMULATE}
    return _Run(names, hits, emulated, counters, report)


@_each_way
def test_state_is_the_same_with_and_without_probe(way: _Way) -> None:
    run = _run(way)

    # A store-exclusive that lost its reservation may fail without a look at its address (Arm ARM,
    # "Load-Exclusive and Store-Exclusive"): an exit in between decides.
    failures = [line for line in run.report.failures if "ldxr_store_fault" not in line]
    assert failures == [], failures
    # Three passes over every case: twice unprobed, once probed in between.
    ignored = len(run.report.failures)
    assert run.report.passed + ignored >= _PASSES * len(run.report.lines("CASE: "))


@_each_way
def test_each_probe_is_hit_once_and_each_step_arrives(way: _Way) -> None:
    run = _run(way)
    counters = run.counters

    retried = {name for name, count in run.hits.items() if count > 1}
    assert set(run.hits) == run.reached
    assert retried <= _EXCLUSIVE
    assert counters.hits == counters.steps + counters.emulated == run.hits.total()
    assert (counters.derailed, counters.astray, counters.lost) == (0, 0, 0)


@_each_way
def test_what_can_be_emulated_is(way: _Way) -> None:
    run = _run(way)

    assert bool(run.emulated) == (way.method is None)
    # A load may fault, and the guest may debug itself: then even those are stepped.
    assert len(run.emulated) // 2 <= run.counters.emulated <= len(run.emulated)


@pytest.mark.parametrize("cpu", CPUS)
def test_unprobed_guest_takes_the_exceptions_of_the_bare_machine(cpu: str) -> None:
    native = run_native("displaced", cpu=cpu)
    monitored = _run(_Way(cpu, Method.STEP, Trap.SMC)).report

    assert native.failures == []
    assert monitored.lines("CASE: ") == native.lines("CASE: ")


def test_fault_in_an_exclusive_region_ends_at_the_vector() -> None:
    with BareGuest("displaced") as guest:
        guest.ready("recorded")
        guest.arm("probe_ldxr_fault")
        guest.go()
        guest.ready("probed")

        assert guest.hits_of(1) == 1
        assert guest.total("steps_to_vector") == 1
        guest.assert_clean()


@pytest.mark.parametrize(
    "left_out",
    [pytest.param(0, id="kernel"), pytest.param(_WITHOUT_OWN_STEPS_AT_EL1, id="user")],
)
def test_guest_steps_while_a_brk_probe_is_armed(left_out: int) -> None:
    with BareGuest("displaced", variables={"left_out": left_out}) as guest:
        guest.ready("recorded")
        guest.arm("probe_nop", trap=Trap.BRK)
        guest.go()
        guest.ready("probed")

        assert "FAIL" not in guest.text
