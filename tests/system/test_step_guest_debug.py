"""The guest's own debugging: with nothing of ours, with probes, watched, and stepped."""

import contextlib
import struct
import threading
from collections.abc import Iterator

import pytest

import stepvisor
from programs import build_program, file_offset
from stepvisor import Answer, Event, GuestEvent, Outcome
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs

pytestmark = pytest.mark.system

TRACING = "/sys/kernel/tracing"
DEBUGGED = "begins 1\ninside 35\nbrk signal 5\nbrk offset 0\nexit 55\n"
"""Two instructions, ten rounds of three, two for a system call: 34 steps, and the start."""
WATCHED = "begins 1\nbreaks 7\nstores 7\nastray 0\nexit 7\n"
WATCHED_ROUNDS = 7
APPEND = "nowatchdog"
"""Stepped all the time on a busy host, a vCPU is as slow as the guest's watchdogs suspect."""
BRK_WARN = 0xD420_0000 | 0x800 << 5
IS_WARNING, WARNING_FLAGS = 1, 0xFF
"""BUGFLAG_WARNING and nothing else, ONCE above all; the taint is above."""

SIDE = ("__schedule", "preempt_schedule_irq")
"""No part of a read; but a vCPU that waits for an answer at each step is often preempted."""


CPU, CPU_WITHOUT_LSE = "max,pauth-impdef=on", "cortex-a57"
HOW = ("nothing", "brk probes", "events", "stepped")
WAYS = pytest.mark.parametrize(
    ("guest", "how"),
    [*((CPU, how) for how in HOW), (CPU_WITHOUT_LSE, "stepped")],
    indirect=["guest"],
    scope="module",
)


@pytest.fixture(scope="module")
def guest(request: pytest.FixtureRequest, files: GuestFiles) -> Iterator[stepvisor.Guest]:
    programs = {f"root/{name}": build_program(name) for name in ("debugged", "watched")}
    initrd = build_initramfs(files.busybox.read_bytes(), programs)
    with stepvisor.boot(cpu=request.param, initrd=initrd, memory="512M", append=APPEND) as guest:
        guest.wait_ready()
        # The shell and what it runs stay on the vCPU that is stepped.
        guest.run("taskset -p 1 $PPID")
        yield guest
        counters = guest.counters()
        assert [(c.derailed, c.astray) for c in counters] == [(0, 0)] * len(counters)


@contextlib.contextmanager
def meanwhile(guest: stepvisor.Guest, how: str) -> Iterator[None]:
    """What we do while the guest debugs itself."""
    if how == "nothing":
        yield
    elif how == "brk probes":
        with guest.trace("vfs_read", trap="brk"):
            yield
    elif how == "events":
        with guest.on(Event.SOFTWARE_BREAKPOINT, Event.HARDWARE_BREAKPOINT)(lambda _: None):
            yield
    else:
        with guest.on(Event.SINGLESTEP, vcpu=0) as events:
            yield
            assert events.read() is not None


def run(guest: stepvisor.Guest, program: str, how: str) -> str:
    """Output of a program that waits after its first line for us to begin."""
    outputs: list[str] = []
    thread = threading.Thread(target=lambda: outputs.append(guest.run(program, 300).output))
    start = guest.console.position
    thread.start()
    guest.console.expect(b"begins 1", 60, start)
    with meanwhile(guest, how):
        thread.join()
    return outputs[0]


@WAYS
def test_ptrace_steps(guest: stepvisor.Guest, how: str) -> None:
    assert run(guest, "/root/debugged", how) == DEBUGGED


@WAYS
def test_hardware_breakpoints_and_watchpoints(guest: stepvisor.Guest, how: str) -> None:
    assert run(guest, "/root/watched", how) == WATCHED


@WAYS
def test_uprobes(guest: stepvisor.Guest, how: str) -> None:
    """An instruction that the kernel steps out of line, in a program that is being debugged."""
    offset = file_offset(build_program("watched"), "child_count")
    with event(guest, "uprobe", f"/root/watched:{offset:#x}"):
        assert run(guest, "/root/watched", how) == WATCHED
        assert hits(guest, "uprobe") == WATCHED_ROUNDS


@WAYS
def test_kprobes(guest: stepvisor.Guest, how: str) -> None:
    """One at an entry, one inside, and one on the return; each write of the program is a hit."""
    with (
        event(guest, "kprobe", "vfs_write", name="entry"),
        event(guest, "kprobe", "vfs_write+0x10", name="inside"),
        event(guest, "kprobe", "vfs_write", kind="r", name="back"),
    ):
        before = profile(guest)
        assert run(guest, "/root/watched", how) == WATCHED
        after = profile(guest)
    grown = {name: after[name] - before[name] for name in after}

    assert grown["entry"] == grown["inside"] == grown["back"] >= WATCHED.count("\n")


@contextlib.contextmanager
def event(
    guest: stepvisor.Guest, source: str, where: str, *, kind: str = "p", name: str = "own"
) -> Iterator[None]:
    """A trace event of the guest's own."""
    events = f"{TRACING}/{source}_events"
    enable = f"{TRACING}/events/{source}s/{name}/enable"
    done = guest.run(f"echo '{kind}:{name} {where}' >> {events} && echo 1 > {enable}")
    assert (done.exit_code, done.output) == (0, "")
    try:
        yield
    finally:
        guest.run(f"echo 0 > {enable}; echo '-:{name}' >> {events}")


def hits(guest: stepvisor.Guest, source: str) -> int:
    return int(guest.run(f"cat {TRACING}/{source}_profile").output.split()[2])


def profile(guest: stepvisor.Guest) -> dict[str, int]:
    lines = guest.run(f"cat {TRACING}/kprobe_profile").output.splitlines()
    return {line.split()[0]: int(line.split()[1]) for line in lines}


def warning_address(guest: stepvisor.Guest) -> int:
    """Of the BRK of some WARN_ON, by the kernel's own table of them."""
    table = guest.symbols
    start, end = (
        table.lookup(name).address for name in ("__start___bug_table", "__stop___bug_table")
    )
    slide = guest.running_symbols.link_base - table.link_base
    raw = guest.monitor.read_physical(guest.physical(start), end - start)
    for offset in range(0, len(raw), 12):
        displacement, _, _, flags = struct.unpack_from("<iiHH", raw, offset)
        address = start + offset + displacement
        if flags & WARNING_FLAGS == IS_WARNING and address in table.text:
            word = guest.monitor.read_physical(guest.physical(address), 4)
            assert int.from_bytes(word, "little") == BRK_WARN
            return address + slide
    raise AssertionError("no WARN_ON found")


@pytest.mark.parametrize("guest", [CPU], indirect=True)
@pytest.mark.parametrize("stepped", [False, True], ids=["free", "stepped"])
def test_a_warning(guest: stepvisor.Guest, stepped: bool) -> None:
    """vfs_read is sent to the BRK of a WARN_ON, and back to its start from behind it.

    The kernel's handling of the exception is stepped up to where it prints, or runs freely.
    """
    entry = guest.running_symbols.lookup("vfs_read").address
    warning = warning_address(guest)
    seen: list[Outcome] = []

    def detour(found: GuestEvent) -> Answer:
        if found.outcome is Outcome.STARTED:
            return Answer.CONTINUE.set(pc=warning)
        seen.append(found.outcome)
        return Answer.CONTINUE.set(pc=entry) if found.pc == warning + 4 else Answer.CONTINUE

    before = warnings(guest)
    read = "dd if=/dev/zero bs=5 count=1 2>/dev/null | wc -c"
    over = "__warn" if stepped else "el1h_64_sync_handler"
    with guest.step("vfs_read", task="dd", answer=detour, over=[over, *SIDE], timeout=120) as steps:
        text = guest.run(read, 200).output
        places = [step.pc for step in steps]

    assert text == "5\n"
    assert seen[0] is Outcome.EXCEPTION
    assert warning + 4 in places
    assert warnings(guest) == before + 1


def warnings(guest: stepvisor.Guest) -> int:
    return int(guest.run("dmesg | grep -c 'WARNING: CPU'").output)
