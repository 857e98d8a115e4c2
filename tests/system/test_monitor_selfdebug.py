"""A guest that debugs itself sees what it sees without us, masked or not, whatever we do meanwhile.

What it prints on the bare machine is the oracle. But for the OS lock: QEMU looks at another bit of
OSLSR_EL1 and takes debug exceptions under it. There the same code under the OS double lock is.
"""

import functools
from dataclasses import dataclass

import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor.monitor.interface import StepOption, Trap

pytestmark = pytest.mark.system

_OPTIONS = StepOption.SILENT | StepOption.EL0 | StepOption.INTERRUPTS
_LOCKED, _STAND_IN = "os_lock ", "double_lock "


@dataclass(frozen=True)
class _Way:
    """What we do while the guest debugs itself."""

    stepped: bool = False
    routed: bool = False
    """A BRK probe is armed somewhere: all debug exceptions come to EL2 first."""
    probed: Trap | None = None
    """So is a probe on each instruction of the cases."""

    @property
    def comes_to_us(self) -> bool:
        """All debug exceptions do; else QEMU decides by the OS lock what is taken."""
        return self.stepped or self.routed or self.probed is Trap.BRK

    def __str__(self) -> str:
        names = ["stepped"] * self.stepped + ["routed"] * self.routed
        if self.probed is not None:
            names.append(self.probed.name.lower())
        return "-".join(names) or "free"


_WAYS = (
    _Way(),
    _Way(stepped=True),
    _Way(routed=True),
    _Way(stepped=True, routed=True),
    _Way(probed=Trap.BRK),
    _Way(stepped=True, probed=Trap.BRK),
)
_WITH_SMC = (_Way(probed=Trap.SMC), _Way(stepped=True, probed=Trap.SMC))
"""Only where stage 2 tells EL0 from EL1 (FEAT_XNX): some of the code runs at both."""

_EVERY_WAY = (
    *((cpu, way) for cpu in (CPUS[0], CPUS[-1]) for way in _WAYS),
    *((CPUS[-1], way) for way in _WITH_SMC),
)


@functools.cache
def _native(cpu: str) -> list[str]:
    report = run_native("selfdebug", cpu=cpu)
    assert report.failures == []
    return report.lines("CASE: ")


def _under_monitor(cpu: str, way: _Way) -> list[str]:
    with BareGuest("selfdebug", cpu=cpu) as guest:
        guest.ready("start")
        if way.routed:
            guest.arm("anchor", trap=Trap.BRK)
        if way.probed is not None:
            code = range(guest.address("cases_text"), guest.address("cases_text_end"), 4)
            guest.arm(*code, first_slot=2, trap=way.probed)
        if way.stepped:
            guest.monitor.configure_step(_OPTIONS)
            guest.monitor.set_stepping(None, on=True)
        guest.go()
        guest.ready("done")
        if way.stepped:
            guest.monitor.set_stepping(None, on=False)
        guest.go()
        report = guest.finish()
        guest.assert_clean()
    assert report.failures == []
    return report.lines("CASE: ")


def _split(lines: list[str]) -> tuple[list[str], list[str]]:
    """Those of the OS lock, and the others."""
    locked = [line for line in lines if line.startswith(_LOCKED)]
    return locked, [line for line in lines if not line.startswith(_LOCKED)]


@pytest.mark.parametrize(("cpu", "way"), _EVERY_WAY, ids=str)
def test_it_sees_what_it_sees_without_us(cpu: str, way: _Way) -> None:
    locked, others = _split(_under_monitor(cpu, way))
    native = _split(_native(cpu))[1]
    stand_in = [line.replace(_STAND_IN, _LOCKED) for line in native if line.startswith(_STAND_IN)]

    assert others == native
    if way.comes_to_us:
        assert locked == stand_in
