"""What tracing costs those who are not traced: memory of the host, time of the guest."""

import re
import subprocess
import sys
import threading
import time

import pytest
from command_line import wait_until

import stepvisor
from stepvisor._gen import wire
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.events import Drained

pytestmark = pytest.mark.system

HOST_MEGABYTES = 200
PAUSE = 6.0
"""Seconds for which nobody reads; one of them is left for clocks that differ."""
SLOW_READER = """
import stepvisor
with stepvisor.boot(cpus=2) as guest, guest.trace("vfs_read") as trace:
    guest.run("dd if=/dev/zero of=/dev/null bs=1 count=400000 2>/dev/null")
    hits = sum(len(batch) for batch in trace.batches())
print(hits, open("/proc/self/status").read())
"""


def test_host_stays_small() -> None:
    """400,000 hits that nobody reads before the end; the peak counts symbols and all."""
    done = subprocess.run(
        [sys.executable, "-c", SLOW_READER], capture_output=True, text=True, check=True
    )
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)

    assert peak is not None
    assert int(done.stdout.split()[0]) >= 400_000
    assert int(peak[1]) < HOST_MEGABYTES << 10


def test_a_reader_that_sleeps_is_no_lockup(monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than a watchdog's patience nobody drains: the guest's clock stands as long.

    Both of its watchdogs are set to their shortest; the vCPU that does not read must not miss the
    other one, either.
    """
    patience = "echo 1 > /proc/sys/kernel/watchdog_thresh"
    reads = "dd if=/dev/zero of=/dev/null bs=1 count=120000 2>/dev/null"
    with stepvisor.boot(cpus=2, append="rcupdate.rcu_cpu_stall_timeout=3") as guest:
        assert guest.run(f"{patience}; dmesg -c > /dev/null").exit_code == 0
        reader = threading.Thread(target=guest.run, args=(f"taskset 2 {reads}", 120))
        before = sum(counters.blocked_ticks for counters in guest.counters())
        with guest.trace("vfs_read") as trace:
            reader.start()
            with monkeypatch.context() as patch:
                patch.setattr(El2Monitor, "drain", lambda _: Drained())
                assert wait_until(lambda: fills_its_ring(guest, 1), 120)
                reader.join(PAUSE)  # the pause itself is what is tested
                assert reader.is_alive()
            reader.join(120)
        log = guest.run("dmesg").output
        blocked = sum(counters.blocked_ticks for counters in guest.counters()) - before
        seconds = blocked / guest.monitor.frequency

    assert trace.summary().lost == 0
    assert seconds > PAUSE - 1, "the guest did not wait for its reader"
    assert not re.search(r"lockup|rcu|stall|hung", log), log


def fills_its_ring(guest: stepvisor.Guest, vcpu: int) -> bool:
    """Whether a vCPU has no room for another hit: all that it can do is wait."""
    pending = guest.monitor._rings[vcpu].pending()
    return pending > wire.RING_SIZE - 2 * wire.RECORD_HIT.itemsize


def test_guest_time_is_not_the_time_that_it_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest's own clock says what dd took; the seconds of waiting are not among it."""
    reads = "dd if=/dev/zero of=/dev/null bs=1 count=120000 2>/dev/null"
    command = f"cut -d ' ' -f 1 /proc/uptime; {reads}; cut -d ' ' -f 1 /proc/uptime"
    with stepvisor.boot(cpus=1) as guest:
        guest.wait_ready()
        outputs: list[str] = []
        reader = threading.Thread(target=lambda: outputs.append(guest.run(command, 120).output))
        start = time.monotonic()
        with guest.trace("vfs_read"):
            reader.start()
            with monkeypatch.context() as patch:
                patch.setattr(El2Monitor, "drain", lambda _: Drained())
                assert wait_until(lambda: fills_its_ring(guest, 0), 120)
                reader.join(PAUSE)
            reader.join(120)
        elapsed = time.monotonic() - start
        first, last = (float(line) for line in outputs[0].split())

    assert last - first < elapsed - PAUSE + 1
