"""A guest that patches its own code under probes: they stay, and every call is a hit."""

import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor.monitor.events import ProbeChanged
from stepvisor.monitor.interface import Trap
from stepvisor.probe.plan import Method

pytestmark = pytest.mark.system

_CALLS = 3
_ORIGINAL = 0x9100_0400
_WORDS = (
    0xD420_0020,  # BRK #1
    0xD420_0080,  # BRK #4
    0xD421_0000,  # BRK #0x800
    0xD503_201F,  # NOP
    0xD503_3FDF,  # ISB
    0x1400_0002,  # B
    0x1400_0004,  # B
    0x9400_0004,  # BL
    0xD400_0061,  # SVC #3
    0xD503_201F,
    0xD420_0080,
)
_BRANCH_OVER = 0x1400_0002
_NOP = 0xD503_201F


@pytest.mark.parametrize("method", [Method.STEP, None])
@pytest.mark.parametrize("trap", [Trap.SMC, Trap.BRK])
@pytest.mark.parametrize("cpu", CPUS)
def test_a_probe_stays_where_the_guest_patches(cpu: str, trap: Trap, method: Method | None) -> None:
    with BareGuest("patching", cpu=cpu, vcpus=2, variables={"toggles": 0}) as guest:
        guest.ready("expected")
        guest.arm("patched_site", method=method, trap=trap)
        guest.go()
        guest.ready("patched")

        changes = [change for word in _WORDS for change in ((_ORIGINAL, word), (word, _ORIGINAL))]
        assert guest.hits_of(1) == 2 * _CALLS * len(_WORDS)
        assert [_seen(notice) for notice in guest.notices] == [(1, *pair) for pair in changes]
        emulated = 0 if method is Method.STEP else _CALLS * len(_WORDS)
        assert guest.total("emulated") == emulated
        assert guest.total("steps") == guest.hits_of(1) - emulated
        guest.go()
        assert guest.finish().failures == []
        guest.assert_clean()


@pytest.mark.parametrize("method", [Method.STEP, None])
@pytest.mark.parametrize("trap", [Trap.SMC, Trap.BRK])
def test_one_cpu_patches_what_another_runs(trap: Trap, method: Method | None) -> None:
    with BareGuest("patching", vcpus=2) as guest:
        guest.ready("expected")
        guest.go()
        guest.ready("patched")
        guest.arm("toggled_site", method=method, trap=trap)
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert guest.hits_of(1) == report.values["toggled-calls"]
        toggles = guest.payload.variable("toggles")
        assert [_seen(notice) for notice in guest.notices] == [
            (1, *((_BRANCH_OVER, _NOP) if i % 2 else (_NOP, _BRANCH_OVER))) for i in range(toggles)
        ]
        guest.assert_clean()


def test_the_same_without_the_monitor() -> None:
    assert run_native("patching", vcpus=2).failures == []


def _seen(notice: object) -> tuple[int, int, int]:
    assert isinstance(notice, ProbeChanged)
    assert notice.kept
    return notice.slot, notice.old, notice.new
