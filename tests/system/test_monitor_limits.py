"""All of a batch of probes or none, up to the limits and beyond."""

from dataclasses import replace

import pytest
from bare import BareGuest

from stepvisor._gen import wire
from stepvisor.errors import MonitorError, ProbeError
from stepvisor.machine.config import MIB
from stepvisor.monitor.interface import Plan, ProbeRequest

pytestmark = pytest.mark.system

_PAGE = 4096
_WORDS = _PAGE // 4
_NO_CODE = 0x0
_LAST_SLOT = wire.MAX_SLOTS - wire.PRIVATE_SLOTS - 1


def _in_empty_page(slot: int, address: int) -> ProbeRequest:
    """On memory that nothing has touched, which reads as an undefined instruction."""
    return ProbeRequest(
        slot=slot,
        va=address,
        ipa=address,
        word=_NO_CODE,
        plan=Plan.STEP_OTHER,
        label=f"{address:#x}",
    )


def _control(guest: BareGuest, name: str) -> int:
    return int(guest.monitor._control[name][0])


def _run_once(guest: BareGuest) -> None:
    guest.go()
    guest.ready("ran")


def test_every_instruction_of_a_page() -> None:
    with BareGuest("many") as guest:
        guest.ready("started")
        requests = guest.arm_function("sled")
        assert len(requests) == _WORDS
        _run_once(guest)
        assert sorted(guest.hits["slot"].tolist()) == list(range(1, _WORDS + 1))
        guest.disarm(requests[::2])
        _run_once(guest)
        assert len(guest.hits) == _WORDS + _WORDS // 2
        guest.disarm(requests[1::2])
        _run_once(guest)
        guest.go()

        assert guest.finish().failures == []
        assert len(guest.hits) == _WORDS + _WORDS // 2
        assert _control(guest, "probes") == 0
        guest.assert_clean()


def test_a_probe_on_every_page_of_memory_and_one_too_many() -> None:
    with BareGuest("many", memory=160 * MIB) as guest:
        guest.ready("started")
        before = _control(guest, "pool_used")
        start, size = guest.machine.guest_memory
        pages = range(start + 16 * MIB, start + size, _PAGE)
        requests = [_in_empty_page(1 + i, page) for i, page in enumerate(pages)]
        assert len(requests) > _control(guest, "pool_pages")
        with pytest.raises(ProbeError, match="no page left"):
            guest.monitor.arm(requests)
        assert _control(guest, "probes") == 0
        # Tables that were split stay so: one for each 2 MiB and view.
        tables = 3 * (size // (2 * MIB) + 2)
        assert _control(guest, "pool_used") <= before + tables

        fitting = requests[: _control(guest, "pool_pages") * 3 // 4]
        guest.monitor.arm(fitting)
        assert _control(guest, "probes") == len(fitting)
        guest.arm("sled", first_slot=_LAST_SLOT)
        _run_once(guest)

        assert guest.hits_of(_LAST_SLOT) == len(guest.hits) == 1
        assert _control(guest, "probes") == len(fitting) + 1
        guest.assert_clean()


def test_disarming_needs_no_memory() -> None:
    with BareGuest("many", memory=160 * MIB) as guest:
        guest.ready("started")
        start, size = guest.machine.guest_memory
        count = _control(guest, "pool_pages") * 3 // 4
        pages = range(start + 16 * MIB, start + size, _PAGE)[:count]
        requests = [_in_empty_page(1 + i, page) for i, page in enumerate(pages)]
        guest.monitor.arm(requests)
        guest.disarm(requests)
        _run_once(guest)

        assert _control(guest, "probes") == 0
        guest.monitor.arm(requests)
        assert _control(guest, "probes") == count


def test_a_refused_batch_leaves_nothing_behind() -> None:
    with BareGuest("many") as guest:
        guest.ready("started")
        good = guest.request("sled", 1)
        start, size = guest.machine.guest_memory
        other = _in_empty_page(2, start + size - _PAGE)
        bad = {
            "changed the instruction": replace(other, word=0xD503_201F),
            "not guest memory": replace(other, ipa=start + size),
            "not guest memory ": replace(other, ipa=start - 4),
            "not guest memory  ": replace(other, ipa=other.ipa + 2),
            "armed there already": replace(good, slot=2),
            "armed there already ": replace(other, slot=1),
        }
        used = _control(guest, "pool_used")
        for message, request in bad.items():
            with pytest.raises(ProbeError, match=message.strip()):
                guest.monitor.arm([good, request])
            assert _control(guest, "probes") == 0
        for slot in (0, wire.MAX_SLOTS):
            with pytest.raises(MonitorError, match="BAD_SLOT"):
                guest.monitor.arm([good, replace(other, slot=slot)])
            assert _control(guest, "probes") == 0
        _run_once(guest)
        assert len(guest.hits) == 0
        guest.monitor.arm([good, other])
        _run_once(guest)

        assert guest.hits_of(1) == len(guest.hits) == 1
        assert _control(guest, "probes") == 2
        assert _control(guest, "pool_used") <= used + 8
        guest.assert_clean()
