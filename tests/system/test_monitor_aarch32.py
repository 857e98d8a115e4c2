"""AArch32 at EL0 on bare metal: the same as without the monitor, whatever the monitor does."""

import functools

import pytest
from bare import BareGuest, Report, run_native

from stepvisor.monitor.interface import Trap
from stepvisor.monitor.vocabulary import StepOption

pytestmark = pytest.mark.system

CPUS = ("cortex-a57", "max,pauth-impdef=on")


@functools.cache
def natively(cpu: str) -> Report:
    report = run_native("aarch32", cpu=cpu)
    assert report.failures == []
    return report


def assert_same(report: Report, cpu: str) -> None:
    for head in ("CASE: ", "REGISTERS: "):
        expected = natively(cpu).lines(head)
        assert len(expected) > 40
        assert report.lines(head) == expected


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("trap", [None, *Trap])
def test_accesses_to_a_probed_page(cpu: str, trap: Trap | None) -> None:
    with BareGuest("aarch32", cpu=cpu) as guest:
        guest.ready("arm")
        if trap is not None:
            guest.arm("data_probe", trap=trap)
        guest.go()
        assert_same(guest.finish(), cpu)
        assert (guest.total("data_steps") > 0) == (trap is not None)
        guest.assert_clean()


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("probed", [False, True])
def test_stepped(cpu: str, *, probed: bool) -> None:
    with BareGuest("aarch32", cpu=cpu) as guest:
        guest.ready("arm")
        if probed:
            guest.arm("data_probe")
        guest.monitor.configure_step(StepOption.EL0 | StepOption.SILENT)
        guest.monitor.set_stepping({0}, on=True)
        guest.go()
        assert_same(guest.finish(), cpu)
        guest.assert_clean()
