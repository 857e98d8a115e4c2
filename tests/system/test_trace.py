"""Exact counts and exact contents on a real kernel."""

import itertools
import threading

import demo
import pytest
from command_line import wait_until

import stepvisor
from stepvisor._gen import wire
from stepvisor.errors import ProbeError
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.events import Drained
from stepvisor.monitor.interface import VcpuCounters

pytestmark = pytest.mark.system


def reads(count: int, size: int = 1) -> str:
    return f"dd if=/dev/zero of=/dev/null bs={size} count={count} 2>/dev/null"


def test_twenty_thousand(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read") as trace:
        assert guest.run(reads(20_000)).exit_code == 0
    hits = trace.array()
    summary = trace.summary()

    assert int((hits["x"][:, 2] == 1).sum()) == 20_000
    assert (summary.lost, summary.derailed, summary.astray) == (0, 0, 0)
    assert summary.hits == {"vfs_read": len(hits)}
    assert 0 < summary.seconds < 60


def test_registers_are_the_arguments(guest: stepvisor.Guest) -> None:
    """x2 is what dd asked for, x1 its buffer, the same each time."""
    with guest.trace("vfs_read") as trace:
        guest.run(reads(50, 3001))
    hits = [hit for hit in trace if hit.regs.x2 == 3001]

    assert len(hits) == 50
    assert len({(hit.regs.x0, hit.regs.x1) for hit in hits}) == 1
    assert {hit.symbol for hit in hits} == {"vfs_read"}
    assert {hit.pc for hit in hits} == {guest.running_symbols.lookup("vfs_read").address}
    assert [hit.time for hit in hits] == sorted(hit.time for hit in hits)


def test_two_probes_and_an_offset(guest: stepvisor.Guest) -> None:
    """Entry and second instruction are hit equally often, in turn; writes are the other probe."""
    with guest.trace("vfs_read", "vfs_read+0x4", "vfs_write") as trace:
        guest.run(reads(500, 2))
    sized = [hit for hit in trace if hit.regs.x2 == 2]
    symbols = [hit.symbol for hit in sized]

    assert symbols == ["vfs_read", "vfs_read+0x4", "vfs_write"] * 500


def test_every_vcpu_at_once(guest: stepvisor.Guest) -> None:
    """Two readers pinned to two vCPUs: each vCPU's hits are its reader's."""
    with guest.trace("vfs_read") as trace:
        guest.run(f"taskset 1 {reads(3000, 7)} & taskset 2 {reads(3000, 11)}; wait")
    hits = trace.array()

    for size, vcpu in ((7, 0), (11, 1)):
        chosen = hits[hits["x"][:, 2] == size]
        assert len(chosen) == 3000
        assert set(chosen["vcpu"].tolist()) == {vcpu}


def test_hits_can_be_read_while_armed(guest: stepvisor.Guest) -> None:
    """Iterating inside the block gives everything up to then, once."""
    with guest.trace("vfs_read") as trace:
        guest.run(reads(100, 5))
        first = sum(hit.regs.x2 == 5 for hit in trace)
        guest.run(reads(200, 5))
        second = sum(hit.regs.x2 == 5 for hit in trace)
    rest = sum(hit.regs.x2 == 5 for hit in trace)

    assert (first, second, rest) == (100, 200, 0)


def test_disarmed_probes_are_silent(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read") as trace:
        pass
    before = [counter.hits for counter in guest.counters()]
    guest.run(reads(1000))

    assert [counter.hits for counter in guest.counters()] == before
    assert not any(hit.regs.x2 == 1 for hit in trace)


def test_one_trace_at_a_time(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read"):
        with pytest.raises(ProbeError, match="another trace"), guest.trace("vfs_write"):
            pass
        guest.run("true")
    with guest.trace("vfs_write"):
        pass


def test_a_symbol_named_twice_is_armed_once(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read", "vfs_read+0x0") as trace:
        guest.run(reads(10, 9))

    assert sum(hit.regs.x2 == 9 for hit in trace) == 10


def on_one_vcpu(command: str) -> str:
    """So that its hits fill one ring: on a busy host the guest moves its tasks about."""
    return f"taskset 1 {command}"


def test_drop_counts_what_it_drops(guest: stepvisor.Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hits than a ring holds while nobody drains: recorded plus lost is all of them."""
    with guest.trace("vfs_read", policy="drop") as trace:
        with monkeypatch.context() as patch:
            patch.setattr(El2Monitor, "drain", lambda _: Drained())
            guest.run(on_one_vcpu(reads(60_000)))
        # From here on there is room again, and the ring says what it had none for.
        assert wait_until(lambda: guest.monitor._rings[0].pending() < wire.RING_SIZE // 2, 60)
        guest.run(on_one_vcpu(reads(10, 9)))
    hits = trace.array()
    summary = trace.summary()

    assert summary.lost > 0
    assert summary.total == len(hits)
    assert int((hits["x"][:, 2] == 9).sum()) == 10
    ones = int((hits["x"][:, 2] == 1).sum())
    others = len(hits) - ones
    assert 60_000 <= ones + summary.lost <= 60_000 + others + 100


def test_block_makes_the_guest_wait(
    guest: stepvisor.Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with the default policy: the guest waits until somebody drains; nothing is lost."""
    before = guest.counters()
    ring = wire.RING_SIZE // wire.RECORD_HIT.itemsize
    reader = threading.Thread(target=guest.run, args=(on_one_vcpu(reads(60_000)),))
    with guest.trace("vfs_read") as trace:
        with monkeypatch.context() as patch:
            patch.setattr(El2Monitor, "drain", lambda _: Drained())
            reader.start()
            assert wait_until(lambda: hits_since(guest, before) >= ring, 60)
            reader.join(0.5)
            assert reader.is_alive()
            assert hits_since(guest, before) < 60_000
        reader.join(60)
        assert not reader.is_alive()
    summary = trace.summary()

    assert summary.lost == 0
    assert int((trace.array()["x"][:, 2] == 1).sum()) == 60_000
    assert blocked(guest.counters()) > blocked(before)


def hits_since(guest: stepvisor.Guest, before: tuple[VcpuCounters, ...]) -> int:
    return sum(c.hits for c in guest.counters()) - sum(c.hits for c in before)


def blocked(counters: tuple[VcpuCounters, ...]) -> int:
    return sum(counter.blocked_ticks for counter in counters)


def test_kaslr_agrees_with_the_guest(guest: stepvisor.Guest) -> None:
    """/proc/kallsyms as the oracle, for names all over the kernel."""
    table = guest.running_symbols
    names = [symbol.name for symbol in itertools.islice(table, 200, None, 4001)]
    pattern = "|".join(f"^{name}$" for name in names if name.isidentifier())
    lines = guest.run(
        f"awk '$3 ~ /{pattern}/ && NF == 3 {{ print $1, $3 }}' /proc/kallsyms"
    ).output.splitlines()

    assert len(lines) >= 15
    for line in lines:
        address, name = line.split()
        assert int(address, 16) in {symbol.address for symbol in table.all(name)}, name


def test_the_guest_sees_its_own_code(guest: stepvisor.Guest) -> None:
    """Bytes of a probed page, read by the guest, before and during; the host agrees."""
    before = demo.text_digest(guest)
    with guest.trace("vfs_read", "vfs_write", "ksys_read"):
        during = demo.text_digest(guest)
        served = sum(c.data_reads + c.data_steps for c in guest.counters())

    assert during == before
    assert served > 0


def test_many_probes(guest: stepvisor.Guest) -> None:
    """Every vfs_ function at its entry."""
    names = [
        f"{symbol.name}"
        for symbol in guest.symbols.match("vfs_*")
        if symbol.is_text
        and len(guest.symbols.all(symbol.name)) == 1
        and symbol.address in guest.symbols.text
    ]
    assert len(names) > 50

    with guest.trace(*names) as trace:
        guest.run(f"cat /proc/self/maps; ls -l /proc /sys; {reads(300, 13)}")
    hits = trace.array()
    summary = trace.summary()

    assert int((hits["x"][:, 2] == 13).sum()) >= 600
    assert sum(count > 0 for count in summary.hits.values()) > 5
    assert (summary.lost, summary.derailed, summary.astray) == (0, 0, 0)
