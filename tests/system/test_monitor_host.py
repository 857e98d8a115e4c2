"""The host may be slow or die: the guest waits, or runs on unprobed; no hit is lost in silence."""

import os
import signal
import time

import numpy as np
import pytest
from bare import NO_FLAGS, BareGuest

from stepvisor._gen import wire
from stepvisor.errors import MonitorError
from stepvisor.monitor.events import Lost
from stepvisor.monitor.link import Heartbeat

pytestmark = pytest.mark.system

_TIMEOUT_MS = 1000

_HIT_SIZE = wire.RECORD_HIT.itemsize
_RING_HITS = wire.RING_SIZE // _HIT_SIZE
_BURST = _RING_HITS + 5000


def _guest(vcpus: int = 1, flags: wire.Flag = NO_FLAGS, **variables: int) -> BareGuest:
    return BareGuest(
        "progress",
        vcpus=vcpus,
        flags=flags,
        variables=variables,
        heartbeat_timeout_ms=_TIMEOUT_MS,
    )


def _stop_heartbeat(guest: BareGuest) -> None:
    heartbeat = guest.monitor._heartbeat
    assert heartbeat is not None
    heartbeat.close()


def _beat(guest: BareGuest) -> None:
    """As the host does all the time, once."""
    guest.monitor._control["heartbeat"] += np.uint64(1)


def _wait_lost(guest: BareGuest) -> None:
    guest.until(lambda: guest.monitor._link.state is wire.State.HOST_LOST, "HOST_LOST")


def _come_back(guest: BareGuest) -> None:
    guest.monitor._heartbeat = Heartbeat(guest.monitor._control)
    guest.monitor._mailbox._check = guest.machine.check_alive
    guest.monitor._mailbox.command(wire.Command.RESUME)


def _full(guest: BareGuest) -> bool:
    return guest.monitor._rings[0].pending() > wire.RING_SIZE - 2 * _HIT_SIZE


def _ping(guest: BareGuest, times: int) -> None:
    for _ in range(times):
        guest.monitor._mailbox.command(wire.Command.PING)


def _ticks(guest: BareGuest, count: int) -> None:
    for _ in range(count):
        guest.wait("TICK: .*")


@pytest.mark.parametrize("vcpus", [1, 3])
def test_without_heartbeat_the_guest_runs_on_unprobed(vcpus: int) -> None:
    with _guest(vcpus) as guest:
        guest.ready("started")
        guest.arm("progress_call", "other_call")
        guest.go()
        _ticks(guest, 2)
        guest.until(lambda: all(c.hits for c in guest.monitor.counters()), "hits on every vCPU")
        _stop_heartbeat(guest)
        start = time.monotonic()
        _beat(guest)
        _wait_lost(guest)
        # The monitor looks once a millisecond and cannot have seen that beat before it came.
        assert time.monotonic() - start > 0.99 * _TIMEOUT_MS / 1000
        _ticks(guest, 1)
        before = guest.monitor.counters()
        _ticks(guest, 5)
        after = guest.monitor.counters()

        assert [c.hits for c in after] == [c.hits for c in before]
        guest.until(lambda: guest.total("hits") == len(guest.hits), "every hit read")
        with pytest.raises(MonitorError, match="heard nothing"):
            guest.monitor.check()
        guest.go()
        guest.ready("counted")
        guest.go()
        guest.ready("one-more")
        guest.go()
        assert guest.finish().failures == []
        assert guest.total("hits") == len(guest.hits)


def test_a_machine_without_time_is_not_a_host_that_died() -> None:
    """Neither the host nor the vCPUs run for longer than the timeout, twice."""
    with _guest() as guest:
        guest.ready("started")
        guest.arm("progress_call")
        guest.go()
        _ticks(guest, 1)
        _stop_heartbeat(guest)
        _beat(guest)
        for _ in range(2):
            os.kill(guest.machine.pid, signal.SIGSTOP)
            time.sleep(1.5 * _TIMEOUT_MS / 1000)  # the time in which nothing runs is what is tested
            os.kill(guest.machine.pid, signal.SIGCONT)
            _ping(guest, 2)  # between two answers the monitor has looked at the heartbeat

        assert guest.monitor._link.state is wire.State.RUNNING
        _wait_lost(guest)


def test_a_host_that_comes_back_probes_again() -> None:
    with _guest() as guest:
        guest.ready("started")
        guest.arm("progress_call")
        guest.go()
        _ticks(guest, 1)
        _stop_heartbeat(guest)
        _wait_lost(guest)
        _ticks(guest, 2)
        lost = guest.total("hits")
        _come_back(guest)
        guest.until(lambda: guest.total("hits") > lost, "a hit after RESUME")

        guest.monitor.check()
        assert len(guest.hits) > lost


def test_what_was_written_without_the_host_runs_when_it_is_back() -> None:
    """The guest writes its code, waits for 20 ms, and runs it, again and again."""
    with BareGuest(
        "arming", vcpus=2, heartbeat_timeout_ms=_TIMEOUT_MS, variables={"waiting": 1_250_000}
    ) as guest:
        guest.ready("running")
        guest.arm(guest.payload.variable("place") + 4)
        guest.until(lambda: guest.total("hits") > 1, "hits")
        _stop_heartbeat(guest)
        _wait_lost(guest)
        lost = guest.total("hits")
        _come_back(guest)
        guest.until(lambda: guest.total("hits") > lost + 2, "hits after RESUME")
        guest.go()

        assert guest.finish().failures == []
        assert guest.total("hits") == len(guest.hits)
        guest.assert_clean()


def test_full_ring_makes_the_vcpu_wait_and_nothing_is_lost() -> None:
    with _guest(burst=_BURST, bursts=1) as guest:
        guest.draining = False
        guest.ready("started")
        guest.arm("progress_call")
        guest.go()
        guest.until(lambda: _full(guest), "a full ring")
        _ping(guest, 2)
        waiting = guest.total("hits")
        _ping(guest, 20)
        assert guest.total("hits") == waiting
        assert "TICK" not in guest.text
        guest.draining = True
        guest.ready("counted")
        guest.go()
        guest.ready("one-more")
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert guest.hits_of(1) == report.values["calls"] + 1 == _BURST + 1
        assert guest.notices == []
        assert guest.total("blocked_ticks") > 0
        guest.assert_clean()


def test_full_ring_without_heartbeat_lets_the_vcpu_go() -> None:
    with _guest(burst=_BURST, bursts=1) as guest:
        guest.draining = False
        guest.ready("started")
        guest.arm("progress_call")
        guest.go()
        guest.until(lambda: _full(guest), "a full ring")
        _stop_heartbeat(guest)
        _wait_lost(guest)
        guest.ready("counted")
        counters = guest.monitor.counters()[0]
        guest.go()
        guest.ready("one-more")
        guest.go()

        assert guest.finish().failures == []
        assert counters.hits == len(guest.hits) + counters.lost


def test_full_ring_drops_and_says_how_many() -> None:
    with _guest(flags=wire.Flag.DROP_WHEN_FULL, burst=_BURST, bursts=1) as guest:
        guest.draining = False
        guest.ready("started")
        guest.arm("progress_call")
        guest.go()
        guest.ready("counted")
        assert _full(guest)
        guest.drain()
        guest.go()
        guest.ready("one-more")
        guest.drain()
        guest.go()
        report = guest.finish()

        lost = [notice for notice in guest.notices if isinstance(notice, Lost)]
        assert report.failures == []
        assert len(lost) == 1
        assert lost[0].lost == guest.total("lost") > 0
        assert guest.hits_of(1) + lost[0].lost == report.values["calls"] + 1


def test_guest_clock_stands_while_its_vcpu_waits() -> None:
    with _guest(burst=_BURST, bursts=1) as guest:
        guest.draining = False
        guest.ready("started")
        guest.arm("progress_call")
        guest.go()
        guest.until(lambda: _full(guest), "a full ring")
        start = time.monotonic()
        while time.monotonic() - start < 3:  # a busy host makes gaps of its own, but shorter ones
            _ping(guest, 100)
        guest.draining = True
        guest.ready("counted")
        waited = guest.total("blocked_ticks")
        guest.go()
        guest.ready("one-more")
        guest.go()

        assert guest.finish().values["longest-gap"] < waited // 2
