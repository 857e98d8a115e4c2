"""Which task runs, on a guest whose tasks lie as awkwardly as memory allows."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bare import BareGuest

from stepvisor.monitor.interface import Action
from stepvisor.monitor.vocabulary import StepOption, TaskFilter

pytestmark = pytest.mark.system

PAGE = 4096
SCATTERED = 0x1_0000_0000
"""Two pages whose neighbours in memory are others."""
JUNK = b"\xa5"


@pytest.fixture(scope="module")
def guest() -> Iterator[BareGuest]:
    with BareGuest("tasks") as guest:
        guest.ready("names")
        yield guest


def starts(guest: BareGuest, wanted: bytes, memory: bytes, offset: int) -> bool:
    """Whether a hit starts stepping that is for `wanted`, when `memory` is at the name's place.

    The name begins `offset` bytes after the start of the two pages.
    """
    pages = guest.address("pages")
    both = (JUNK * offset + memory).ljust(2 * PAGE, JUNK)
    guest.machine.ram.write(pages + 2 * PAGE, both[:PAGE])
    guest.machine.ram.write(pages, both[PAGE:])
    guest.monitor.configure_step(
        StepOption.ONCE | StepOption.SILENT, task=TaskFilter(offset, wanted)
    )
    before = guest.total("trace_steps")
    guest.monitor.arm(
        [
            replace(guest.request("task_site", 1), action=Action.STEP_START),
            replace(guest.request("task_end", 2), action=Action.STEP_STOP),
        ]
    )
    guest.go()
    guest.ready("names")
    guest.monitor.disarm([1, 2])
    return guest.total("trace_steps") > before


@pytest.mark.parametrize("offset", [0, 100, *range(PAGE - 16, PAGE + 1, 3)])
def test_a_name_ends_at_its_zero(guest: BareGuest, offset: int) -> None:
    """Kernels before 5.17 leave behind it what an older, longer name had there."""
    assert starts(guest, b"head", b"head\0er\0\xff", offset)
    assert starts(guest, b"head", b"head".ljust(16, b"\0"), offset)
    assert not starts(guest, b"head", b"header\0", offset)
    assert not starts(guest, b"header", b"head\0er\0", offset)
    assert not starts(guest, b"head", b"hea\0", offset)


@pytest.mark.parametrize("offset", [0, PAGE - 8])
def test_the_longest_name(guest: BareGuest, offset: int) -> None:
    assert starts(guest, b"fifteen-letters", b"fifteen-letters\0", offset)
    assert not starts(guest, b"fifteen-letters", b"fifteen-lettersX", offset)
    assert not starts(guest, b"fifteen-letter", b"fifteen-letters\0", offset)


def test_a_name_that_is_not_all_there(guest: BareGuest) -> None:
    """The page behind it is not mapped: a name that ends before is read all the same."""
    assert starts(guest, b"init", b"init\0", 2 * PAGE - 5)
    assert not starts(guest, b"init", b"init", 2 * PAGE - 4)
    assert not starts(guest, b"init", b"", 3 * PAGE)
