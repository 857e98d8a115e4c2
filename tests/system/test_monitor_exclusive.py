"""Exclusive sequences end as without the monitor: stepped, probed anywhere, under contention."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from bare import CPUS, GRANULES, BareGuest, run_native

from stepvisor import Event, GuestEvent
from stepvisor.monitor.interface import Action, StepOption, Trap
from stepvisor.monitor.vocabulary import Outcome
from stepvisor.trace.events import Consumer, EventHub
from stepvisor.trace.troubles import Troubles

pytestmark = pytest.mark.system

_EVERYTHING = StepOption.SILENT | StepOption.EL0 | StepOption.INTERRUPTS
_COUNTED = 300
_CLOCK_MATCH = 0x0901_0004
"""RTCMR of the board's PL031, a register that nothing reads."""
_ADDRESSES_44, _ADDRESSES_52 = 4, 6
"""Lengths of physical addresses, as TCR_EL1.IPS has them."""


@contextmanager
def _guest(cpu: str, *, vcpus: int = 1, **variables: int) -> Iterator[BareGuest]:
    with BareGuest("exclusive", cpu=cpu, vcpus=vcpus, variables=variables) as guest:
        guest.ready("armed")
        yield guest


def _run(guest: BareGuest) -> None:
    for name in ("rounds", "waited", "counted"):
        guest.go()
        guest.ready(name)
    guest.go()
    assert guest.finish().failures == []
    guest.assert_clean()


def _words(guest: BareGuest, *functions: str) -> Sequence[int]:
    """Every instruction from each function to its end."""
    return [
        address
        for name in functions
        for address in range(guest.address(name), guest.address(f"{name}_end"), 4)
    ]


@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_the_bare_machine_agrees(cpu: str) -> None:
    report = run_native("exclusive", cpu=cpu, variables={"counted": _COUNTED, "interrupts": 5000})

    assert report.failures == []


@pytest.mark.parametrize("data_in_code", [0, 1])
@pytest.mark.parametrize("cpu", CPUS)
def test_stepped(cpu: str, data_in_code: int) -> None:
    """From before the first sequence to the end, with and without a probe in its data's page."""
    variables = {"data_in_code": data_in_code, "counted": _COUNTED, "rounds": 5}
    with _guest(cpu, long_sequence=1, **variables) as guest:
        if data_in_code:
            guest.arm("cleared", "other_function")
        guest.monitor.configure_step(_EVERYTHING)
        guest.monitor.set_stepping(None, on=True)
        _run(guest)
        assert guest.total("trace_steps") > 10_000


def test_a_device_refuses_a_store_that_is_stepped() -> None:
    with _guest(CPUS[0], device=_CLOCK_MATCH, rounds=1) as guest:
        guest.monitor.configure_step(_EVERYTHING)
        guest.monitor.set_stepping(None, on=True)
        _run(guest)


@pytest.mark.parametrize("way", ["stepped", "probed"])
@pytest.mark.parametrize(
    ("granule", "physical_size"),
    [("4K", _ADDRESSES_44), ("16K", _ADDRESSES_44), ("64K", _ADDRESSES_44), ("64K", _ADDRESSES_52)],
)
def test_pages_of_every_size(granule: str, physical_size: int, way: str) -> None:
    """Copies on write and clean pages that become dirty, among others."""
    variables = {"granule": GRANULES[granule], "physical_size": physical_size}
    with _guest(CPUS[-1], counted=_COUNTED, rounds=2, **variables) as guest:
        if way == "probed":
            guest.arm(*_words(guest, "parity_add", "try_once", "sizes", "count_up"), "unseen")
        else:
            guest.monitor.configure_step(_EVERYTHING)
            guest.monitor.set_stepping(None, on=True)
        _run(guest)


def test_a_load_that_only_waits() -> None:
    """It is a sequence of its own: what comes behind it is stepped one by one."""
    found: list[tuple[Outcome, int]] = []

    def note(event: GuestEvent) -> None:
        found.append((event.outcome, event.instruction_address))

    with _guest(CPUS[0], rounds=1) as guest:
        hub = EventHub(guest.monitor, Troubles())
        hub.add(Consumer(frozenset({Event.SINGLESTEP}), frozenset({0}), callback=note))
        guest.draining = False
        guest.monitor.configure_step(StepOption.ONCE)
        start = replace(guest.request("waits_site", 1), action=Action.STEP_START)
        stop = replace(guest.request("waits_return", 2), action=Action.STEP_STOP)
        guest.monitor.arm([start, stop])
        _run(guest)
        hub.close()
        site, on, end = map(guest.address, ("waits_site", "waits_on", "waits_return"))

    # Not the WFE that is branched over.
    wanted = [*range(site, on - 4, 4), *range(on, end, 4)]
    assert len(wanted) == 17
    assert found == [
        (Outcome.STARTED, site),
        *((Outcome.STEPPED, address) for address in wanted),
        (Outcome.STOPPED, end),
    ]


@pytest.mark.parametrize("trap", [Trap.SMC, Trap.BRK])
@pytest.mark.parametrize("cpu", CPUS)
def test_a_probe_at_every_instruction(cpu: str, trap: Trap) -> None:
    with _guest(cpu, counted=_COUNTED) as guest:
        names = ("parity_add", "try_once", "sizes", "count_up", "crossing")
        guest.arm(*_words(guest, *names), trap=trap)
        _run(guest)


@pytest.mark.parametrize(
    "inner", ["parity_even", "parity_odd", "try_once_inner", "try_once_store", "count_up_inner"]
)
@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_one_probe_inside(cpu: str, inner: str) -> None:
    """The sequence succeeds at the first attempt, so the probe is hit once each time."""
    with _guest(cpu, counted=_COUNTED, rounds=10) as guest:
        guest.arm(inner)
        _run(guest)
        rounds = {"parity_even": 30, "parity_odd": 30, "count_up_inner": _COUNTED}
        # Of the two attempts at copy-on-write the first one faults at its store.
        assert guest.hits_of(1) == rounds.get(inner, 30)


def test_a_probe_behind_the_border_of_a_page() -> None:
    with _guest(CPUS[0]) as guest:
        guest.arm("crossing_inner")
        _run(guest)
        assert guest.hits_of(1) >= 20


def test_clearing_ends_a_sequence() -> None:
    """A probe behind CLREX is hit each time, also when the data is in a probed page."""
    with _guest(CPUS[0], data_in_code=1, rounds=10) as guest:
        guest.arm("cleared_inner")
        _run(guest)
        assert guest.hits_of(1) == 10


@pytest.mark.parametrize("data_in_code", [0, 1])
def test_nobody_leaves_by_another_vector(data_in_code: int) -> None:
    """What runs after an exception inside a sequence is probed like everything else."""
    with _guest(CPUS[0], data_in_code=data_in_code, rounds=10) as guest:
        guest.arm("leaves", "near_data", "other_function")
        _run(guest)
        assert guest.hits_of(3) == 10


def test_a_code_word_written_inside_is_seen() -> None:
    """Its page's shadow follows, and a probe on that word is gone, with a notice each time."""
    with _guest(CPUS[0], data_in_code=1, rounds=1) as guest:
        guest.arm("cleared_inner", "rewritten")
        _run(guest)
        assert len(guest.notices) == 1


@pytest.mark.parametrize("probe", ["spin", "near_data"])
@pytest.mark.parametrize("data_in_code", [0, 1])
def test_an_interrupt_ends_a_loop_of_loads(data_in_code: int, probe: str) -> None:
    with _guest(CPUS[0], data_in_code=data_in_code, rounds=0) as guest:
        guest.arm(probe)
        _run(guest)


@pytest.mark.parametrize("data_in_code", [0, 1])
def test_a_sequence_without_end_makes_progress(data_in_code: int) -> None:
    """Broken up three times, then run to its end."""
    with _guest(CPUS[0], data_in_code=data_in_code, rounds=2, long_sequence=1) as guest:
        guest.arm("long_one", "parity_add", guest.address("long_one") + 12)
        _run(guest)


@pytest.mark.parametrize("way", ["probed", "stepped", "both"])
@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_contention_and_interrupts(cpu: str, way: str) -> None:
    """Two CPUs count one word up while one of them takes interrupts."""
    variables = {"counted": _COUNTED, "interrupts": 3000, "rounds": 20, "single_attempts": 0}
    with _guest(cpu, vcpus=2, **variables) as guest:
        if way != "stepped":
            guest.arm(*_words(guest, "count_up", "parity_add", "crossing"))
        if way != "probed":
            guest.monitor.configure_step(_EVERYTHING)
            guest.monitor.set_stepping({0}, on=True)
        _run(guest)
