"""AArch32 at EL0 on bare metal: the same as without the monitor, whatever the monitor does."""

import functools
import struct
from dataclasses import replace

import pytest
from bare import BareGuest, Report, run_native

from stepvisor.errors import ProbeError
from stepvisor.monitor.interface import Plan, ProbeRequest, Trap
from stepvisor.monitor.vocabulary import StepOption

pytestmark = pytest.mark.system

CPUS = ("cortex-a57", "max,pauth-impdef=on")
USER_ALIAS = 0x8000_0000


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
@pytest.mark.parametrize("trap", [None, Trap.SMC, Trap.BRK])
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


T32_ADDITIONS = bytes.fromhex("0137 0237 0437 00df")
A32_ADDITIONS = struct.pack("<4I", 0xE2977001, 0xE2977002, 0xE2977004, 0xEF000000)
ADDED = "707070e"
"""r7 of a case that came to its end."""

INSIDE = {"t32_if_then": 4, "t32_if_not": 4, "t32_bkpt_if_not": 4, "t32_half_aligned": 2}
"""Bytes from the start of a case to a further probe: in IT blocks, one on a BKPT of the guest's."""


def request(guest: BareGuest, slot: int, address: int, *, thumb: bool) -> ProbeRequest:
    """A probe where EL0 executes it."""
    first, second = struct.unpack("<2H", guest.monitor.read_physical(address, 4))
    short = thumb and first < 0xE800
    word = first if short else first << 16 | second if thumb else second << 16 | first
    return ProbeRequest(
        slot=slot,
        va=address + USER_ALIAS,
        ipa=address,
        word=word,
        plan=Plan.STEP_OTHER,
        label=f"{address:#x}",
        trap=Trap.BKPT_T32 if thumb else Trap.BKPT_A32,
    )


def probed_places(guest: BareGuest, cpu: str) -> dict[int, tuple[bool, int]]:
    """Whether it is T32, and how often it is reached, by address."""
    registers = {line.split()[0]: line.split()[1:] for line in natively(cpu).lines("REGISTERS: ")}
    places = {}
    for name, values in registers.items():
        start, thumb = guest.address(f"case_{name}"), name.startswith("t32")
        places[start] = (thumb, 1)
        if name in INSIDE:
            places[start + INSIDE[name]] = (thumb, 1)
        code = guest.monitor.read_physical(start, 64)
        additions = code.index(T32_ADDITIONS if thumb else A32_ADDITIONS)
        second = start + additions + (2 if thumb else 4)
        places[second] = (thumb, int(values[7] == ADDED))
    return places


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("stepped", [False, True])
def test_probes_in_aarch32_code(cpu: str, *, stepped: bool) -> None:
    with BareGuest("aarch32", cpu=cpu) as guest:
        guest.ready("arm")
        places = probed_places(guest, cpu)
        requests = [
            request(guest, slot, address, thumb=thumb)
            for slot, (address, (thumb, _)) in enumerate(places.items(), 300)
        ]
        guest.monitor.arm(requests)
        if stepped:
            guest.monitor.configure_step(StepOption.EL0 | StepOption.SILENT)
            guest.monitor.set_stepping({0}, on=True)
        guest.go()
        assert_same(guest.finish(), cpu)
        hits = {r.ipa: guest.hits_of(r.slot) for r in requests}
        assert hits == {address: reached for address, (_, reached) in places.items()}
        assert set(hits.values()) == {0, 1}
        guest.assert_clean()


def test_a_probe_on_other_code() -> None:
    """The instruction that is expected is compared as the set has it."""
    with BareGuest("aarch32") as guest:
        guest.ready("arm")
        start = guest.address("case_t32_ldr_wide")
        good = request(guest, 1, start, thumb=True)
        for wrong in (good.word ^ 1, good.word ^ 1 << 16, good.word >> 16):
            with pytest.raises(ProbeError):
                guest.monitor.arm([replace(good, word=wrong)])
        with pytest.raises(ProbeError):
            guest.monitor.arm([replace(good, ipa=start + 1)])
        guest.monitor.arm([good])
        guest.disarm([good])
        guest.go()
        assert_same(guest.finish(), CPUS[0])
