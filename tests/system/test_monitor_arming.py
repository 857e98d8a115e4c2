"""Probes armed in a page that the guest writes just then: it runs what it wrote, nothing older."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from bare import BareGuest

from stepvisor.errors import ProbeError
from stepvisor.machine.config import MIB
from stepvisor.monitor.interface import Plan, ProbeRequest

pytestmark = pytest.mark.system

_PAGE = 4096
_LOW, _HIGH = 0x4880_0000, 0x4B00_0000
_OTHERS = 400
_ROUNDS = 6
_CALLS = 10


@contextmanager
def _guest(**variables: int) -> Iterator[BareGuest]:
    with BareGuest("arming", vcpus=2, variables=variables) as guest:
        guest.ready("running")
        yield guest
        guest.go()
        assert guest.finish().failures == []
        guest.assert_clean()


def _others() -> list[ProbeRequest]:
    """In untouched pages, so many that the guest writes and runs its code meanwhile."""
    return [
        ProbeRequest(
            slot=2 + i, va=page, ipa=page, word=0, plan=Plan.STEP_OTHER, label=f"{page:#x}"
        )
        for i, page in enumerate(range(_LOW + MIB, _LOW + MIB + _OTHERS * _PAGE, _PAGE))
    ]


def _let_run(guest: BareGuest) -> None:
    def calls() -> int:
        return int.from_bytes(guest.monitor.read_physical(guest.address("calls"), 8), "little")

    before = calls()
    guest.until(lambda: calls() > before + _CALLS, "a few calls")


def _armed(guest: BareGuest, probes: Sequence[ProbeRequest]) -> bool:
    """Whether the instructions under the probes stayed as they were while they were armed."""
    try:
        guest.monitor.arm(probes)
    except ProbeError as error:
        if "has just changed" not in str(error):
            raise
        return False
    return True


def test_what_is_written_beside_a_probe_while_it_is_armed() -> None:
    """The page is the last one of the batch, so it is the first that is copied."""
    with _guest(place=_HIGH) as guest:
        for _ in range(_ROUNDS):
            probes = [*_others(), guest.request(_HIGH + 4, 1)]
            assert _armed(guest, probes)
            _let_run(guest)
            guest.disarm(probes)


def test_what_is_written_under_a_probe_while_it_is_armed() -> None:
    """The page is the first one of the batch, so its instruction is the first that is compared."""
    with _guest(place=_LOW, numbers=2) as guest:
        for _ in range(_ROUNDS):
            probes = [guest.request(_LOW, 1, None), *_others()]
            if _armed(guest, probes):
                _let_run(guest)
                guest.disarm(probes)
