"""Every function of a kernel at once."""

import time

import numpy as np
import pytest
from command_line import cpu_seconds

import stepvisor
from stepvisor.errors import ProbeError, SymbolError

pytestmark = pytest.mark.system

WORKLOAD = (
    "i=0; while [ $i -lt 5 ]; do cat /proc/self/maps; ls /proc > /dev/null; i=$((i+1)); done"
    " | md5sum > /dev/null; dd if=/dev/zero of=/tmp/many bs=4096 count=50 2>/dev/null; echo done"
)


def text_bytes(guest: stepvisor.Guest) -> np.ndarray:
    """The kernel's code as it lies in the guest's memory."""
    text = guest.symbols.text
    raw = guest.monitor.read_physical(guest.physical(text.start), len(text))
    return np.frombuffer(raw, np.uint8)


def test_every_function_is_counted(guest: stepvisor.Guest) -> None:
    """Alive meanwhile, nothing lost, no step derailed."""
    entries = {s.address for s in guest.symbols if s.is_text and s.address in guest.symbols.text}
    before = text_bytes(guest)
    pages = guest.monitor.memory.used
    done: list[tuple[int, int]] = []

    trace = guest.trace("*", record=False, progress=lambda *at: done.append(at))
    with trace:
        assert guest.run(WORKLOAD, 120).output.strip() == "done"
        assert np.array_equal(text_bytes(guest), before)
        memory = trace.memory
    summary = trace.summary()

    assert trace.probes + len(trace.refused) >= len(entries) > 40_000
    assert trace.probes > 0.95 * len(entries)
    assert all(refused.reason for refused in trace.refused)
    assert done[-1] == (trace.probes, trace.probes)
    assert [count for count, _ in done] == sorted(count for count, _ in done)
    assert pages < memory.used < memory.pages
    assert (summary.lost, summary.derailed, summary.astray) == (0, 0, 0)
    assert summary.hits["vfs_read"] > 10
    assert summary.total > 10_000
    assert guest.monitor.memory.used < memory.used
    assert guest.run("echo alive").output == "alive\n"


def processor_time(guest: stepvisor.Guest) -> float:
    """Of this process and of QEMU, which others who have the processors do not make longer."""
    return time.process_time() + cpu_seconds(guest.pid)


def cost_of_a_probe(guest: stepvisor.Guest, pattern: str) -> tuple[float, float]:
    """Seconds of arming one of many, and of disarming it."""
    trace = guest.trace(pattern, record=False)
    start = processor_time(guest)
    with trace:
        armed = processor_time(guest)
    disarmed = processor_time(guest)
    return (armed - start) / trace.probes, (disarmed - armed) / trace.probes


def test_a_probe_costs_the_same_among_many(guest: stepvisor.Guest) -> None:
    """Ten times as many take ten times as long, not a hundred times."""
    few, many = (cost_of_a_probe(guest, pattern) for pattern in ("[a-c]*", "*"))

    assert many[0] < 4 * few[0], (few, many)
    assert many[1] < 4 * few[1], (few, many)


def test_every_function_recorded_under_block(guest: stepvisor.Guest) -> None:
    """Counted in the stream and by the monitor: the same number."""
    with guest.trace("*") as trace:
        assert guest.run(WORKLOAD, 120).output.strip() == "done"
    summary = trace.summary()
    hits = trace.array()

    assert (summary.lost, summary.derailed, summary.astray) == (0, 0, 0)
    assert len(hits) == summary.total > 10_000
    for vcpu in range(2):
        sequence = hits["sequence"][hits["vcpu"] == vcpu]
        assert (np.diff(np.sort(sequence).astype(np.int64)) == 1).all()


def test_a_predicate_for_every_function(guest: stepvisor.Guest) -> None:
    """One program serves all; x0 is what it asks for in every record."""
    with guest.trace("vfs_*", where="x2 == 3001", capture=("x2", "x0")) as trace:
        guest.run("dd if=/dev/zero of=/dev/null bs=3001 count=40 2>/dev/null")
    hits = list(trace)

    assert trace.probes > 50
    assert {hit.values["x2"] for hit in hits} == {3001}
    assert sum(hit.symbol == "vfs_read" for hit in hits) == 40
    assert sum(hit.symbol == "vfs_write" for hit in hits) == 40


def test_a_hit_costs_the_same_among_many(guest: stepvisor.Guest) -> None:
    """Exact counts of one function while all others of the file layer are probed, too."""
    with guest.trace("vfs_*", "ksys_*", record=False) as trace:
        guest.run("dd if=/dev/zero of=/dev/null bs=1 count=3000 2>/dev/null")
    assert trace.summary().hits["vfs_read"] in range(3000, 3020)


def test_a_name_that_several_functions_have(guest: stepvisor.Guest) -> None:
    names = [s.name for s in guest.symbols if s.is_text and s.address in guest.symbols.text]
    twice = next(name for name in names if len(guest.symbols.all(name)) > 1)
    trace = guest.trace(twice[:-1] + "[" + twice[-1] + "]", record=False)
    with trace:
        pass
    assert {f"{twice}@1", f"{twice}@2"} <= set(trace.summary().hits)


def test_patterns_that_fit_nothing(guest: stepvisor.Guest) -> None:
    with pytest.raises(SymbolError, match="no function of the kernel fits 'no_such_"):
        guest.trace("no_such_*")
    with pytest.raises(ProbeError, match="freed after boot"):
        guest.trace("start_kerne[l]")


def test_named_and_fitting(guest: stepvisor.Guest) -> None:
    """What is named and fits a pattern, too, is armed once; the name's errors still count."""
    with guest.trace("vfs_read", "vfs_rea*", record=False) as trace:
        guest.run("true")
    assert next(iter(trace.summary().hits)) == "vfs_read"
    assert trace.probes == 3
    with pytest.raises(SymbolError):
        guest.trace("vfs_*", "no_such_function")
