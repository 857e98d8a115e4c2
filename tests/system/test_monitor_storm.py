"""An interrupt never derails a step, and every hit is recorded exactly once."""

import numpy as np
import pytest
from bare import CPUS, NO_FLAGS, BareGuest

from stepvisor._gen import wire

pytestmark = pytest.mark.system

_INTERRUPTS = 400
_SPREAD = 0x1FFF


def _storm(
    cpu: str, senders: int, flags: wire.Flag = NO_FLAGS, *, aimed: bool = False
) -> BareGuest:
    variables = {
        "least_interrupts": _INTERRUPTS,
        "storm_cpus": senders,
        "spread": _SPREAD,
        "aimed": aimed,
    }
    return BareGuest("storm", cpu=cpu, vcpus=1 + senders, variables=variables, flags=flags)


@pytest.mark.parametrize("senders", [0, 1, 2], ids=["timer", "1-sender", "2-senders"])
@pytest.mark.parametrize("cpu", CPUS)
def test_every_call_is_one_hit(cpu: str, senders: int) -> None:
    with _storm(cpu, senders) as guest:
        guest.ready("armed")
        probes = guest.arm_function("storm_call")
        guest.go()
        guest.ready("counted")
        counters = guest.monitor.counters()[0]
        guest.go()
        report = guest.finish()

        assert not report.failures
        calls = report.values["calls"]
        slots, counts = np.unique(guest.hits["slot"], return_counts=True)
        found = dict(zip(slots.tolist(), counts.tolist(), strict=True))
        assert found == {probe.slot: calls for probe in probes}
        assert counters.hits == counters.steps == calls * len(probes)
        assert counters.held > 0
        guest.assert_clean()


@pytest.mark.parametrize("cpu", CPUS)
def test_interrupts_wait_at_many_steps(cpu: str) -> None:
    with _storm(cpu, 1, aimed=True) as guest:
        guest.ready("armed")
        guest.arm("storm_call")
        guest.go()
        guest.ready("counted")
        counters = guest.monitor.counters()[0]
        guest.go()
        report = guest.finish()

        assert not report.failures
        assert guest.hits_of(1) == counters.hits == counters.steps == report.values["calls"]
        # Nearly all of them where two host cores are free; a busy host takes turns.
        assert counters.held > 0
        guest.assert_clean()


@pytest.mark.parametrize(
    ("senders", "aimed"), [(0, False), (1, False), (1, True)], ids=["timer", "sgi", "aimed"]
)
def test_without_hold_back_steps_derail(senders: int, aimed: bool) -> None:
    with _storm(CPUS[0], senders, wire.Flag.NO_HOLD_BACK, aimed=aimed) as guest:
        guest.ready("armed")
        guest.arm_function("storm_call")
        guest.go()
        guest.until(lambda: guest.total("derailed") > 0, "a derailed step")
