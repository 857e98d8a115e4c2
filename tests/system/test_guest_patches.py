"""A kernel that patches probed code itself: kprobes of its own, and its function tracer."""

import json
from collections.abc import Iterator

import pytest
from command_line import CommandLine

import stepvisor
from stepvisor.monitor.events import ProbeChanged

pytestmark = pytest.mark.system

_TRACING = "/sys/kernel/tracing"
_READS = 500
_READ = f"dd if=/dev/zero of=/dev/null bs=7 count={_READS} 2>/dev/null"


@pytest.fixture(scope="module")
def guest() -> Iterator[stepvisor.Guest]:
    with stepvisor.boot() as guest:
        guest.wait_ready()
        yield guest


def _do(guest: stepvisor.Guest, command: str) -> str:
    done = guest.run(f"{{ {command}; }} 2>&1", 120)
    assert done.exit_code == 0, f"{command}: {done.output}"
    return done.output


def _kprobe(definition: str, name: str) -> tuple[str, str]:
    """Commands that set a kprobe of the guest's own, and that take it away again."""
    enable = f"{_TRACING}/events/kprobes/{name}/enable"
    return (
        f"echo '{definition}' > {_TRACING}/kprobe_events && echo 1 > {enable}",
        f"echo 0 > {enable} && echo > {_TRACING}/kprobe_events",
    )


@pytest.mark.parametrize("trap", ["smc", "brk"])
@pytest.mark.parametrize(
    "definition",
    ["p:own vfs_read", "r:own vfs_read", "p:own vfs_read+0x8"],
    ids=["entry", "return", "inside"],
)
def test_the_guests_own_kprobe(guest: stepvisor.Guest, definition: str, trap: str) -> None:
    """The same instruction has two owners, and each has its hits."""
    place = definition.split()[1]
    on, off = _kprobe(definition, "own")
    _do(guest, f"echo > {_TRACING}/trace")
    with guest.trace(place, where="x2 == 7", trap=trap) as trace:
        _do(guest, _READ)
        _do(guest, on)
        _do(guest, _READ)
        profile = _do(guest, f"cat {_TRACING}/kprobe_profile").split()
        _do(guest, off)
        _do(guest, _READ)
    summary = trace.summary()

    assert profile[0] == "own"
    assert int(profile[1]) >= _READS
    assert int(profile[2]) == 0
    assert summary.hits == {place: 3 * _READS}
    assert summary.replanned == {place: 2}
    assert (summary.ended, summary.complete) == ({}, True)
    assert (summary.derailed, summary.astray, summary.lost) == (0, 0, 0)
    assert all(isinstance(notice, ProbeChanged) for notice in trace.notices)


def test_the_guests_function_tracer(guest: stepvisor.Guest) -> None:
    """Its branch is at one of the first instructions; where, the kernel's configuration says."""
    places = ["vfs_read", "vfs_read+0x4", "vfs_read+0x8"]
    with guest.trace(*places, where="x2 == 7") as trace:
        _do(guest, _READ)
        _do(guest, f"echo vfs_read > {_TRACING}/set_ftrace_filter")
        _do(guest, f"echo function > {_TRACING}/current_tracer")
        _do(guest, _READ)
        _do(guest, f"echo 0 > {_TRACING}/tracing_on")  # a look at it would be traced, too
        seen = int(_do(guest, f"grep -c vfs_read < {_TRACING}/trace"))
        _do(guest, f"echo nop > {_TRACING}/current_tracer; echo > {_TRACING}/set_ftrace_filter")
        _do(guest, f"echo 1 > {_TRACING}/tracing_on")
        _do(guest, _READ)
    summary = trace.summary()

    assert seen >= _READS
    assert summary.hits == dict.fromkeys(places, 3 * _READS)
    assert len(summary.replanned) == 1
    assert set(summary.replanned.values()) == {2}
    assert (summary.derailed, summary.astray, summary.complete) == (0, 0, True)


def test_the_command_line_says_what_the_guest_did(command_line: CommandLine) -> None:
    on, off = _kprobe("p:own vfs_read", "own")
    command = f"{_READ}; {on}; {_READ}; {off}; {_READ}"
    trace = ("trace", "-e", "vfs_read", "--where", "x2 == 7", "--run", command)
    shown = command_line.run(*trace)
    as_json = command_line.run(*trace, "--json")

    assert (shown.returncode, as_json.returncode) == (0, 0), shown.stderr + as_json.stderr
    lines = shown.stdout.splitlines()
    assert f"vfs_read  {3 * _READS:,} hits" in lines
    assert "vfs_read: the guest replaced its instruction 2 times, the probe stayed" in lines
    summary = json.loads(as_json.stdout.splitlines()[-1])["summary"]
    assert summary["hits"] == {"vfs_read": 3 * _READS}
    assert (summary["replanned"], summary["complete"]) == ({"vfs_read": 2}, True)
