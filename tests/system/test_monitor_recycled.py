"""A hit that waits for the host goes on with the probe that it met, whatever became of the slot."""

import pytest
from bare import CPUS, BareGuest

from stepvisor._gen import wire
from stepvisor.monitor.events import HIT_DTYPE
from stepvisor.probe.plan import Method

pytestmark = pytest.mark.system

_ROOM = wire.RING_SIZE // HIT_DTYPE.itemsize
_CALLS = _ROOM + 1000
_SLOT = 1


@pytest.mark.parametrize("method", [Method.EMULATE, Method.STEP])
@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_slot_given_to_another_probe_while_a_hit_waits(cpu: str, method: Method) -> None:
    with BareGuest("recycled", cpu=cpu, variables={"calls": _CALLS}) as guest:
        guest.ready("arm")
        first = guest.arm("first_site", first_slot=_SLOT, method=method)
        guest.draining = False
        guest.go()
        guest.until(lambda: guest.total("hits") > _ROOM, "a full ring")
        guest.disarm(first)
        guest.arm("second_site", first_slot=_SLOT, method=method)
        guest.draining = True
        guest.ready("done")
        hits = guest.hits
        guest.go()
        report = guest.finish()

        assert report.values == {"wrong": 0, "second": 101}
        assert len(hits) == _ROOM + 2
        assert hits["pc"][:-1].tolist() == [guest.address("first_site")] * (_ROOM + 1)
        assert hits["pc"][-1] == guest.address("second_site")
        guest.assert_clean()
