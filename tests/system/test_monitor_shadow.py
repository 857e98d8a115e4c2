"""Guest memory is never modified by probing, and accesses to a probed page do what they say."""

import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor.monitor.events import ProbeChanged
from stepvisor.monitor.interface import Trap

pytestmark = pytest.mark.system

_PROBES = ("first_probe", "second_probe", "third_probe")
_ADD_2 = 0x9100_0800

_WITHOUT_XNX = ("cortex-a57", "cortex-a72")
"""Armv8.0: stage 2 lets a page be executed at EL1 and EL0, or not at all."""

_CHECKPOINTS = (
    "recorded",
    "shadowed",
    "same-bytes",
    "rewritten",
    "restored",
    "armed-again",
    "alias",
    "user",
    "user-probed",
)


@pytest.mark.parametrize("cpu", CPUS)
def test_reads_writes_and_rewrites(cpu: str) -> None:
    with BareGuest("shadow", cpu=cpu) as guest:
        guest.ready("recorded")
        original = guest.arm(*_PROBES)[0].word
        guest.go()
        guest.ready("shadowed")

        calls = _last_value(guest, "calls")
        counted = [guest.hits_of(slot) for slot in (1, 2, 3)]
        assert counted == [calls] * 3
        assert guest.notices == []
        counters = guest.monitor.counters()[0]
        assert counters.data_steps > 0
        assert counters.data_reads > 0

        guest.go()
        guest.ready("same-bytes")
        assert guest.hits_of(1) == calls + 1
        assert guest.notices == []

        guest.go()
        guest.ready("rewritten")
        guest.drain()
        changed = [notice for notice in guest.notices if isinstance(notice, ProbeChanged)]
        assert changed == guest.notices
        assert [(c.slot, c.old, c.new) for c in changed] == [(1, original, _ADD_2)]
        assert guest.hits_of(1) == calls + 1

        guest.go()
        guest.ready("restored")
        assert guest.hits_of(1) == calls + 1
        guest.arm("first_probe")
        guest.go()
        guest.ready("armed-again")
        assert guest.hits_of(1) == calls + 2

        guest.go()
        guest.ready("alias")
        assert guest.hits_of(1) == calls + 3
        assert guest.hits["pc"][-1] != guest.hits["pc"][-2]
        guest.go()
        guest.ready("user")
        guest.go()
        guest.ready("user-probed")
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert report.values["checksum"] == report.values["checksum-at-end"]
        assert len(guest.notices) == 1
        guest.assert_clean()


def test_exclusive_sequence_on_data_in_a_probed_page_succeeds() -> None:
    with BareGuest("shadow", variables={"with_exclusives": 1}) as guest:
        guest.ready("recorded")
        guest.arm(*_PROBES)
        guest.go()
        guest.ready("shadowed")

        assert "FAIL: " not in guest.text


@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_access_from_a_page_without_a_probe_into_one_with(cpu: str) -> None:
    """What faults is the second part: the address that the core gives is not the access's."""
    with BareGuest("shadow", cpu=cpu) as guest:
        assert guest.address("shadow_border") % 4096 == 4092
        assert guest.address("second_probe") // 4096 == guest.address("shadow_border") // 4096 + 1
        guest.ready("recorded")
        guest.arm("second_probe")
        guest.go()
        guest.ready("shadowed")

        assert "FAIL: " not in guest.text


@pytest.mark.parametrize("trap", [Trap.SMC, Trap.BRK])
@pytest.mark.parametrize("cpu", CPUS)
def test_user_code_under_a_probe(cpu: str, trap: Trap) -> None:
    """SMC is undefined at EL0, so a core that can tell fetches of EL0 apart gets BRK instead."""
    with BareGuest("shadow", cpu=cpu) as guest:
        for name in _CHECKPOINTS:
            guest.ready(name)
            if name == "user":
                guest.arm("alias_function", trap=trap)
            guest.go()
        failures = guest.finish().failures

        if trap is Trap.SMC and cpu in _WITHOUT_XNX:
            # The guest's kernel has the exception, and nobody can tell the monitor.
            assert failures == ["user code under a probe"]
            assert len(guest.hits) == 0
        else:
            assert failures == []
            assert len(guest.hits) == 1
        guest.assert_clean()


def test_shadowed_memory_is_the_bare_machines() -> None:
    pages = []
    with BareGuest("shadow") as guest:
        start, end = guest.address("shadow_pages"), guest.address("shadow_pages_end")
        guest.ready("recorded")
        pages.append(guest.monitor.read_physical(start, end - start))
        guest.arm(*_PROBES)
        pages.append(guest.monitor.read_physical(start, end - start))
        checksum = _last_value(guest, "checksum")
        guest.go()
        guest.ready("shadowed")
    native = run_native("shadow")

    assert native.failures == []
    assert checksum == native.values["checksum"]
    assert pages[0] == pages[1]


def _last_value(guest: BareGuest, name: str) -> int:
    lines = [line for line in guest.text.splitlines() if line.startswith(f"VALUE: {name} ")]
    return int(lines[-1].split()[-1], 16)
