"""Landing pads: nothing of ours stands where only one may, and a skipped one has landed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from bare import CPUS, GRANULES, BareGuest

from stepvisor import Answer, Event, GuestEvent
from stepvisor.monitor.interface import Action, StepOption, Trap
from stepvisor.probe.program import read_program
from stepvisor.trace.events import Consumer, EventHub
from stepvisor.trace.troubles import Troubles

pytestmark = pytest.mark.system

_CPU = CPUS[-1]
"""With branch target identification."""
_INTERRUPTS = 500
_ALIAS = 0x1_4000_0000
_USER_GUARDED = 0x1_8000_0000
_LEAVES = 8

_granules = pytest.mark.parametrize("granule", GRANULES.values(), ids=GRANULES)


@_granules
def test_interrupts_before_landing_pads_are_stepped_aside_for(granule: int) -> None:
    variables = {"least_interrupts": _INTERRUPTS, "granule": granule}
    with BareGuest("guarded", cpu=_CPU, variables=variables) as guest:
        guest.ready("start")
        guest.monitor.configure_step(StepOption.SILENT | StepOption.EL0)
        guest.monitor.set_stepping(None, on=True)
        guest.go()
        guest.ready("counted")
        guest.monitor.set_stepping(None, on=False)
        guest.go()
        guest.ready("user")
        guest.go()
        report = guest.finish()
        guest.assert_clean()

        assert report.failures == []
        assert guest.total("trace_steps") > _INTERRUPTS


@_granules
def test_probes_in_guarded_pages(granule: int) -> None:
    """Captured, performed and stepped; on a landing pad by the trap that may stand on one."""
    with BareGuest("guarded", cpu=_CPU, variables={"granule": granule}) as guest:
        guest.ready("start")
        guest.go()
        guest.ready("counted")
        asked = read_program(capture=["x0"])
        assert asked is not None
        assert asked.layout is not None
        program = guest.monitor.load_program(asked.program())
        leaf = guest.address("guarded_leaf")
        pad = guest.request(leaf, 1, method=None, trap=Trap.BRK)
        inner = guest.request(leaf + 4, 2)
        probes = [replace(probe, va=probe.va + _ALIAS, program=program) for probe in (pad, inner)]
        guest.monitor.arm(probes)
        guest.draining = False
        guest.go()
        guest.ready("user")
        captured = guest.monitor.drain().captures
        guest.monitor.disarm([1, 2])
        guest.go()
        assert guest.finish().failures == []
        guest.assert_clean()

    records = [record for part in captured for record in asked.layout.decode(part)]
    assert [int(record["v0"]) for record in records] == [
        number for number in range(_LEAVES) for _ in probes
    ]


@dataclass(frozen=True)
class _Run:
    """A run over guarded code of the payload, and what begins and ends stepping it."""

    checkpoints: tuple[str, ...]
    last: str
    start: str
    stop: str
    alias: int
    mode: int


_RUNS = {
    "EL1": _Run(("start",), "counted", "guarded_call", "report", _ALIAS, 0b0101),
    "EL0": _Run(("start", "counted"), "user", "run_state", "exception", _USER_GUARDED, 0b0000),
}


def _skip(_: GuestEvent) -> Answer:
    return Answer.SKIP


def _set_pc(found: GuestEvent) -> Answer:
    return Answer.CONTINUE.set(pc=found.pc + 4)


@_granules
@pytest.mark.parametrize("over", [_skip, _set_pc])
@pytest.mark.parametrize("level", _RUNS)
def test_a_landing_pad_that_an_answer_skips_has_landed(
    level: str, over: Callable[[GuestEvent], Answer], granule: int
) -> None:
    run = _RUNS[level]
    with BareGuest("guarded", cpu=_CPU, variables={"granule": granule}) as guest:
        for name in run.checkpoints:
            guest.ready(name)
            guest.go()
        guest.ready(run.last)
        pad = guest.address("guarded_leaf") + run.alias
        skipped = 0

        def answer(found: GuestEvent) -> Answer:
            nonlocal skipped
            if found.pc != pad:
                return Answer.CONTINUE
            assert found.pstate & 0xF == run.mode
            skipped += 1
            return over(found)

        hub = EventHub(guest.monitor, Troubles())
        stepping = Consumer(
            frozenset({Event.SINGLESTEP}),
            frozenset({0}),
            callback=answer,
            synchronous=True,
            timeout=60,
        )
        hub.add(stepping)
        start = replace(guest.request(run.start, 1, trap=Trap.BRK), action=Action.STEP_START)
        stop = replace(guest.request(run.stop, 2), action=Action.STEP_STOP)
        guest.monitor.configure_step(StepOption.EL0)
        guest.monitor.arm(sorted((start, stop), key=lambda request: request.ipa))
        guest.go()
        if run.last == "counted":
            guest.ready("user")
            guest.go()
        report = guest.finish()
        hub.close()
        guest.assert_clean()

    assert stepping.error is None
    assert report.failures == []
    assert skipped == _LEAVES
