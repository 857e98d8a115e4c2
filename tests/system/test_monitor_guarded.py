"""Landing pads: nothing of ours stands where only one may, and a skipped one has landed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from bare import CPUS, BareGuest

from stepvisor import Answer, Event, GuestEvent
from stepvisor.monitor.interface import Action, StepOption, Trap
from stepvisor.trace.events import Consumer, EventHub
from stepvisor.trace.troubles import Troubles

pytestmark = pytest.mark.system

_CPU = CPUS[-1]
"""With branch target identification."""
_INTERRUPTS = 1500
_ALIAS = 0x4000_0000
_LEAVES = 8


def test_interrupts_before_landing_pads_are_stepped_aside_for() -> None:
    with BareGuest("guarded", cpu=_CPU, variables={"least_interrupts": _INTERRUPTS}) as guest:
        guest.ready("start")
        guest.monitor.configure_step(StepOption.SILENT | StepOption.EL0)
        guest.monitor.set_stepping(None, on=True)
        guest.go()
        guest.ready("counted")
        guest.monitor.set_stepping(None, on=False)
        guest.go()
        report = guest.finish()
        guest.assert_clean()

        assert report.failures == []
        assert guest.total("trace_steps") > _INTERRUPTS


def _skip(_: GuestEvent) -> Answer:
    return Answer.SKIP


def _set_pc(found: GuestEvent) -> Answer:
    return Answer.CONTINUE.set(pc=found.pc + 4)


@pytest.mark.parametrize("over", [_skip, _set_pc])
def test_a_landing_pad_that_an_answer_skips_has_landed(
    over: Callable[[GuestEvent], Answer],
) -> None:
    with BareGuest("guarded", cpu=_CPU) as guest:
        guest.ready("start")
        guest.go()
        guest.ready("counted")
        pad = guest.address("guarded_leaf") + _ALIAS
        skipped = 0

        def answer(found: GuestEvent) -> Answer:
            nonlocal skipped
            if found.pc != pad:
                return Answer.CONTINUE
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
        start = replace(guest.request("guarded_call", 1, trap=Trap.BRK), action=Action.STEP_START)
        stop = replace(guest.request("finish", 2), action=Action.STEP_STOP)
        guest.monitor.arm(sorted((start, stop), key=lambda request: request.ipa))
        guest.go()
        report = guest.finish()
        hub.close()

    assert report.failures == []
    assert skipped == _LEAVES
