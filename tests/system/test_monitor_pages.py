"""Guests with pages of 4, 16 and 64 KiB: where things are, what hits read, what runs stepped."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bare import CPUS, GRANULES, BareGuest
from command_line import wait_until

from stepvisor import Event, GuestEvent
from stepvisor.errors import MonitorError
from stepvisor.monitor.interface import Action, StepOption, Trap
from stepvisor.monitor.vocabulary import Outcome
from stepvisor.probe.program import read_program
from stepvisor.symbols.kaslr import find_kernel_base
from stepvisor.symbols.virtual import VirtualMemory
from stepvisor.trace.events import Consumer, EventHub
from stepvisor.trace.troubles import Troubles

pytestmark = pytest.mark.system

_IMAGE = 0x4800_0000
_KERNEL_BASE = 0xFFFF_FFE5_4321_0000
_LINEAR_PAGES = 0xFFFF_FF80_8000_0000
_PAR_F = 1
_PAR_PA = 0x000F_FFFF_FFFF_F000
_OFFSET = 0xFFF
_FULL_SIZE = 6
"""TCR_EL1.IPS: addresses of 52 bits, where the core and the size of pages have them."""
_BIT_48 = 1 << 48
_TEXT = "not to be seen"

_KINDS = {
    "4K": (CPUS[-1], {}),
    "16K": (CPUS[-1], {}),
    "64K": (CPUS[-1], {}),
    "64K cortex-a57": (CPUS[0], {}),
    "64K of 52 bits": (CPUS[-1], {"physical_size": _FULL_SIZE, "far_bits": _BIT_48 | _BIT_48 << 3}),
}


@pytest.fixture(params=_KINDS)
def guest(request: pytest.FixtureRequest) -> Iterator[BareGuest]:
    cpu, more = _KINDS[request.param]
    granule = GRANULES[request.param.split()[0]]
    variables = {"kernel_base": _KERNEL_BASE, "granule": granule, **more}
    with BareGuest("pages", cpu=cpu, variables=variables) as guest:
        guest.ready("mapped")
        yield guest


def _reader(guest: BareGuest, address: int, size: int) -> bytes:
    try:
        return guest.monitor.read_physical(address, size)
    except MonitorError:
        return b""


def _memory(guest: BareGuest) -> VirtualMemory:
    cpu = guest.monitor.read_cpu()
    return VirtualMemory(lambda a, n: _reader(guest, a, n), ttbr1=cpu.ttbr1, tcr=cpu.tcr)


def _end(guest: BareGuest) -> None:
    guest.go()
    guest.ready("isolated")
    guest.go()
    assert guest.finish().failures == []
    guest.assert_clean()


def test_the_host_translates_as_the_hardware_does(guest: BareGuest) -> None:
    memory = _memory(guest)
    samples = [line.split() for line in guest.text.splitlines() if line.startswith("SAMPLE: ")]
    assert len(samples) > 50
    for _, va_text, par_text in samples:
        va, par = int(va_text, 16), int(par_text, 16)
        found = None if par & _PAR_F else par & _PAR_PA | va & _OFFSET
        assert memory.physical(va) == found, f"{va:#x}"
        in_kernel = _KERNEL_BASE <= va < _KERNEL_BASE + (1 << 18)
        assert memory.guarded(va) == in_kernel, f"{va:#x}"


def test_the_kernel_is_found(guest: BareGuest) -> None:
    """Where it is executable, not where it is data; not by the tables of page-table isolation."""

    def find() -> int | None:
        cpu = guest.monitor.read_cpu()
        return find_kernel_base(
            lambda address, size: _reader(guest, address, size),
            ttbr1=cpu.ttbr1,
            tcr=cpu.tcr,
            physical_base=_IMAGE,
            text_offset=guest.address("pages_call") - _IMAGE,
        )

    assert find() == _KERNEL_BASE
    guest.go()
    guest.ready("isolated")
    assert find() is None


@pytest.mark.parametrize("site", ["pages_call", "pages_site"])
def test_what_a_hit_reads(guest: BareGuest, site: str) -> None:
    """A page that leads beyond all memory is no other page, whatever its lower bits are."""
    asked = read_program(capture=["str(x0)", "u64[x0]"])
    assert asked is not None
    assert asked.layout is not None
    trap = Trap.BRK if site == "pages_call" else Trap.SMC
    request = guest.request(site, 1, method=None, trap=trap)
    va = request.va - _IMAGE + _KERNEL_BASE
    guest.monitor.arm(
        [replace(request, va=va, program=guest.monitor.load_program(asked.program()))]
    )
    guest.draining = False
    guest.go()
    guest.ready("isolated")
    captured = guest.monitor.drain().captures
    beyond, here = (record for part in captured for record in asked.layout.decode(part))
    guest.go()
    assert guest.finish().failures == []
    guest.assert_clean()

    assert beyond["faults"] == 0b11
    assert not here["faults"]
    assert bytes(here["v0"]).rstrip(b"\0").decode() == _TEXT


def test_steps(guest: BareGuest) -> None:
    """From a landing pad in the kernel's half to what the function returns to."""
    found: list[tuple[Outcome, int]] = []

    def note(event: GuestEvent) -> None:
        found.append((event.outcome, event.instruction_address))

    hub = EventHub(guest.monitor, Troubles())
    hub.add(Consumer(frozenset({Event.SINGLESTEP}), frozenset({0}), callback=note))
    guest.draining = False
    guest.monitor.configure_step(StepOption.ONCE)
    pad = guest.request("pages_call", 1, trap=Trap.BRK)
    end = guest.address("pages_site") + 4
    start = replace(pad, va=pad.va - _IMAGE + _KERNEL_BASE, action=Action.STEP_START)
    stop = guest.request(end, 2)
    stop = replace(stop, va=stop.va - _IMAGE + _KERNEL_BASE, action=Action.STEP_STOP)
    guest.monitor.arm([start, stop])
    guest.go()
    guest.ready("isolated")
    assert wait_until(lambda: bool(found) and found[-1][0] is Outcome.STOPPED, 60)
    hub.close()
    guest.go()
    assert guest.finish().failures == []
    guest.assert_clean()

    assert found == [
        (Outcome.STARTED, start.va),
        (Outcome.STEPPED, start.va),
        (Outcome.STEPPED, start.va + 4),
        (Outcome.STOPPED, stop.va),
    ]
