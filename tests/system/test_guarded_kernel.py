"""Which pages of a kernel are guarded, whoever runs while that is asked, or nobody yet."""

from collections.abc import Iterator

import pytest

import stepvisor
from stepvisor.monitor.vocabulary import Trap
from stepvisor.probe.trap import is_landing_pad
from stepvisor.symbols.kaslr import walk

pytestmark = pytest.mark.system

_GUARDED = 1 << 50
_MODE = 0xF
_LOOKS = 20


@pytest.fixture(scope="module")
def guest() -> Iterator[stepvisor.Guest]:
    """With page-table isolation, and a program that runs for ever.

    Its core has no branch target identification, so a page may be called guarded with no effect.
    """
    with stepvisor.boot(cpu="cortex-a57", cpus=1) as guest:
        guest.wait_ready()
        guest.run("(while :; do :; done) &")
        yield guest


def _guard(guest: stepvisor.Guest, address: int) -> None:
    """Change the descriptor of the page or block that has `address`."""
    places: list[int] = []

    def read(place: int, size: int) -> bytes:
        places.append(place)
        return guest.monitor.read_physical(place, size)

    guest._memory()
    assert guest._tables is not None
    ttbr1, tcr = guest._tables
    assert walk(read, ttbr1, tcr, address) is not None
    descriptor = int.from_bytes(guest.monitor.read_physical(places[-1], 8), "little")
    guest._machine.ram.write(places[-1], (descriptor | _GUARDED).to_bytes(8, "little"))


def test_guarded_pages_are_known_while_a_program_runs(guest: stepvisor.Guest) -> None:
    """At EL0 the upper half is a trampoline only, where nothing is guarded."""
    symbol = guest.running_symbols.get("vfs_read")
    assert symbol is not None
    _guard(guest, symbol.address)
    at_el0 = 0
    while at_el0 < _LOOKS:
        before = guest.monitor.read_cpu()
        guarded = guest._guarded()(symbol.address)
        at_el0 += before.pstate & _MODE == 0
        assert guarded


def test_before_the_kernel_runs_any_page_may_be_guarded() -> None:
    """It maps itself anew on its way, guarded if it was built so."""
    with stepvisor.start(memory="512M", paused=True) as guest:
        pad = next(
            symbol.name
            for symbol in guest.symbols
            if symbol.address in guest.symbols.text
            and is_landing_pad(int.from_bytes(guest._read_kernel(symbol.address, 4), "little"))
        )
        steps = guest.step(pad, 10)
        traps = {probe.trap for probe in steps._probes if is_landing_pad(probe.word)}

    assert traps == {Trap.BRK}
