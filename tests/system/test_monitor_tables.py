"""The guest's own translation tables: wherever they lie and lead, no probe is deceived."""

from dataclasses import replace

import pytest
from bare import CPUS, GRANULES, BareGuest, run_native

from stepvisor._gen import wire
from stepvisor.monitor.interface import Trap
from stepvisor.probe.plan import Method

pytestmark = pytest.mark.system

_BEYOND, _WALKS, _ALIAS_SMC, _ALIAS_BRK, _NOT_REACHED, _FLAGS = 1, 2, 3, 4, 5, 6
_WINDOW = 0x1_0000_0000
_SLOT = 7
_CALLS = 100
_INSTRUCTION_ABORT, _BREAKPOINT = 0x21, 0x31
"""ESR_EL1.EC, of an exception taken from EL1."""

_cpus = pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])

_FAR_PAGES = (
    pytest.param(0xFFF_FFFF_F000, id="2^44"),
    pytest.param(0x100_0000_0000, id="first-beyond"),
    pytest.param(0xFF_FFFF_F000, id="last-within"),
    pytest.param(0x4000_0000, id="monitor"),
    pytest.param(0x4BFF_F000, id="last-of-ram"),
    pytest.param(0x4C00_0000, id="behind-ram"),
)


@_cpus
@pytest.mark.parametrize("page", _FAR_PAGES)
def test_page_behind_a_probed_one_leads_anywhere(cpu: str, page: int) -> None:
    variables = {"scene": _BEYOND, "far_page": page}
    with BareGuest("tables", cpu=cpu, variables=variables) as guest:
        guest.ready("arm")
        guest.arm("one_page")
        guest.go()
        guest.ready("done")
        guest.monitor._mailbox.command(wire.Command.PING)
        guest.go()
        assert guest.finish().failures == []
        guest.assert_clean()


@pytest.mark.parametrize(
    ("cpu", "granule"), [(CPUS[0], "4K"), (CPUS[0], "64K"), *((CPUS[-1], g) for g in GRANULES)]
)
@pytest.mark.parametrize("method", [Method.STEP, None])
def test_table_in_a_probed_page_hides_no_hit(cpu: str, granule: str, method: Method | None) -> None:
    variables = {"scene": _WALKS, "granule": GRANULES[granule]}
    with BareGuest("tables", cpu=cpu, variables=variables) as guest:
        guest.ready("arm")
        guest.arm("table_code", "elsewhere", method=method)
        guest.go()
        guest.ready("again")
        assert guest.hits_of(2) == _CALLS
        guest.go()
        guest.ready("done")
        assert guest.hits_of(2) == 2 * _CALLS
        guest.go()
        assert guest.finish().failures == []
        guest.assert_clean()


@_cpus
@pytest.mark.parametrize("method", [Method.STEP, None])
def test_what_is_not_reached_is_no_hit(cpu: str, method: Method | None) -> None:
    """Not executable, or the guest's own breakpoint on it; the root table shares a probed page."""
    variables = {"scene": _NOT_REACHED}
    with BareGuest("tables", cpu=cpu, variables=variables) as guest:
        guest.ready("arm")
        guest.arm("table_code", "elsewhere", method=method)
        hits = []
        for checkpoint in ("forbidden", "broken", "done"):
            guest.go()
            guest.ready(checkpoint)
            hits.append(guest.hits_of(2))
        guest.go()
        report = guest.finish()
        guest.assert_clean()

    assert hits == [0, 0, 1]
    assert report.values["never executable"] == _INSTRUCTION_ABORT
    assert report.values["breakpoint"] == _BREAKPOINT
    assert report.values == run_native("tables", cpu=cpu, variables=variables).values


@pytest.mark.parametrize("method", [Method.STEP, None])
def test_flags_that_the_hardware_sets_hide_no_hit(method: Method | None) -> None:
    """The walk of a fetch writes to a page that is shadowed."""
    variables = {"scene": _FLAGS}
    with BareGuest("tables", cpu=CPUS[-1], variables=variables) as guest:
        guest.ready("arm")
        guest.arm("table_code", "elsewhere", method=method)
        guest.go()
        guest.ready("done")
        hits = guest.hits_of(2)
        guest.go()
        report = guest.finish()
        guest.assert_clean()

    assert hits == 5
    assert report.values == run_native("tables", cpu=CPUS[-1], variables=variables).values


@_cpus
@pytest.mark.parametrize(
    ("scene", "symbol", "trap"),
    [(_ALIAS_SMC, "one_page", Trap.SMC), (_ALIAS_BRK, "user_one", Trap.BRK)],
    ids=["smc", "brk-of-a-process"],
)
def test_another_page_at_a_probed_address_is_its_own(
    cpu: str, scene: int, symbol: str, trap: Trap
) -> None:
    with BareGuest("tables", cpu=cpu, variables={"scene": scene}) as guest:
        guest.ready("arm")
        request = guest.request(symbol, _SLOT, Method.STEP, trap)
        guest.monitor.arm([replace(request, va=_WINDOW)])
        guest.go()
        guest.ready("done")
        assert guest.hits_of(_SLOT) == 1
        guest.go()
        values = guest.finish().values

    assert values == run_native("tables", cpu=cpu, variables={"scene": scene}).values
