"""Monitor events on a real kernel: answers, late answers, and a guest that debugs itself."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from command_line import wait_until
from numpy.typing import NDArray

import stepvisor
from programs import build_program
from stepvisor import Answer, Event, GuestEvent, Outcome
from stepvisor.errors import InputError
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs

pytestmark = pytest.mark.system

CPU1 = "/sys/devices/system/cpu/cpu1/online"
APPEND = "nowatchdog"
"""Stepped all the time on a busy host, a vCPU is as slow as the guest's watchdogs suspect."""
CPU_OFF, CPU_ON, AFFINITY_INFO = 0x8400_0002, 0xC400_0003, 0xC400_0004
INVALID_PARAMETERS = -2
EL1H_MASKED = 0x3C5
NO_SUCH_CPU = 77
BRK_77 = 0xD420_0000 | 77 << 5
KPROBES = "/sys/kernel/tracing"
DEBUGGED = "begins 1\ninside 35\nbrk signal 5\nbrk offset 0\nexit 55\n"
"""Two instructions, ten rounds of three, two for a system call: 34 steps, and the start."""
READS = "dd if=/dev/zero of=/dev/null bs=5 count=300 2>/dev/null"


@pytest.fixture(scope="module")
def initrd(files: GuestFiles) -> bytes:
    """Our user space with the self-debugging program."""
    program = build_program("debugged")
    return build_initramfs(files.busybox.read_bytes(), {"root/debugged": program})


@pytest.fixture(scope="module")
def guest(initrd: bytes) -> Iterator[stepvisor.Guest]:
    with stepvisor.boot(initrd=initrd, memory="512M", append=APPEND) as guest:
        guest.wait_ready()
        # The shell and what it runs stay on vCPU 0, so that vCPU 1 can be made to wait.
        guest.run("taskset -p 1 $PPID")
        yield guest
        counters = guest.counters()
        assert [(c.derailed, c.astray) for c in counters] == [(0, 0)] * len(counters)


def online(guest: stepvisor.Guest) -> str:
    return guest.run("cat /sys/devices/system/cpu/online").output.strip()


def switch(guest: stepvisor.Guest, value: int) -> str:
    return guest.run(f"echo {value} > {CPU1}").output


def test_capabilities(guest: stepvisor.Guest) -> None:
    offered = guest.monitor.capabilities

    assert offered.events == set(Event)
    assert {action.name for action in offered.answers} == {"CONTINUE", "SKIP", "DENY"}


def test_calls_are_seen_and_continue(guest: stepvisor.Guest) -> None:
    """Hot-plug: one CPU goes off by its own call, and on by another's."""
    calls: list[tuple[int, int, int]] = []

    @guest.on(Event.PRIVILEGED_CALL)
    def look(event: GuestEvent) -> Answer:
        assert event.waits
        calls.append((event.vcpu, event.x[0], event.word & 0xFFE0001F))
        return Answer.CONTINUE

    assert switch(guest, 0) == ""
    assert online(guest) == "0"
    assert switch(guest, 1) == ""
    assert online(guest) == "0-1"
    look.close()
    seen = [call for call in calls if call[1] != AFFINITY_INFO]

    assert seen == [(1, CPU_OFF, 0xD4000003), (0, CPU_ON, 0xD4000003)]
    assert not look.is_open


def test_a_call_can_be_denied(guest: stepvisor.Guest) -> None:
    """The guest hears "not supported", which Linux makes EOPNOTSUPP."""
    assert switch(guest, 0) == ""

    with guest.on(Event.PRIVILEGED_CALL)(
        lambda event: Answer.DENY if event.x[0] == CPU_ON else Answer.CONTINUE
    ):
        assert "not supported" in switch(guest, 1)
        assert online(guest) == "0"

    assert switch(guest, 1) == ""
    assert online(guest) == "0-1"


def test_a_call_can_be_skipped_with_a_result(guest: stepvisor.Guest) -> None:
    """It is not carried out; the registers are what the answer says."""
    assert switch(guest, 0) == ""

    with guest.on(Event.PRIVILEGED_CALL)(
        lambda event: (
            Answer.SKIP.set(x0=INVALID_PARAMETERS) if event.x[0] == CPU_ON else Answer.CONTINUE
        )
    ):
        assert "Invalid argument" in switch(guest, 1)
        assert online(guest) == "0"

    assert switch(guest, 1) == ""


def test_a_callback_that_fails(guest: stepvisor.Guest, caplog: pytest.LogCaptureFixture) -> None:
    """Raising, nonsense and lateness: reported, logged once, and the guest goes on."""

    def raises(event: GuestEvent) -> Answer:
        raise RuntimeError(f"no idea about {event.kind.name}")

    def nonsense(_: GuestEvent) -> Answer:
        return "maybe"  # type: ignore[return-value] # that is the point

    def late(_: GuestEvent) -> Answer:
        time.sleep(0.4)
        return Answer.DENY

    expected = {
        raises: (60, "raised RuntimeError('no idea about PRIVILEGED_CALL')"),
        nonsense: (60, "returned 'maybe', which is no Answer"),
        late: (0.1, "did not answer in time"),
    }
    for callback, (timeout, words) in expected.items():
        before = len(guest.troubles)
        with (
            caplog.at_level(logging.WARNING, "stepvisor"),
            guest.on(Event.PRIVILEGED_CALL, timeout=timeout)(callback),
        ):
            caplog.clear()
            assert switch(guest, 0) == ""
            assert switch(guest, 1) == ""
            assert online(guest) == "0-1"
        troubles = guest.troubles[before:]
        assert len(troubles) >= 2
        assert all(words in trouble.what for trouble in troubles)
        assert len([record for record in caplog.records if words in record.message]) == 1


def test_one_vcpu_waits_the_other_runs(guest: stepvisor.Guest) -> None:
    """vCPU 1 stands at its first step until it is answered; vCPU 0 reads on meanwhile."""
    arrived, go_on = threading.Event(), threading.Event()
    troubles = guest.troubles
    many = "dd if=/dev/zero of=/dev/null bs=5 count=20000000 2>/dev/null"
    guest.run(f"{many} & echo $! > /tmp/reader")
    with guest.trace("vfs_read", policy="drop") as trace:

        @guest.on(Event.SINGLESTEP, vcpu=1, timeout=120)
        def look(event: GuestEvent) -> Answer:
            assert event.vcpu == 1
            arrived.set()
            go_on.wait(120)
            return Answer.CONTINUE.stop_stepping()

        assert arrived.wait(60)
        steps, hits = guest.counters()[1].trace_steps, trace.hits
        assert wait_until(lambda: trace.hits > hits + 2000, 60)
        assert guest.counters()[1].trace_steps == steps
        go_on.set()
        look.close()
    assert guest.run("taskset 2 echo here; kill $(cat /tmp/reader)").output == "here\n"
    assert guest.troubles == troubles


def test_registers_can_be_set(guest: stepvisor.Guest) -> None:
    """An answer at a call changes what the guest computes: another CPU number for PSCI."""
    asked: list[int] = []

    def other(event: GuestEvent) -> Answer:
        if event.x[0] == CPU_ON:
            asked.append(event.x[1])
            return Answer.CONTINUE.set(x1=NO_SUCH_CPU)
        return Answer.CONTINUE

    assert switch(guest, 0) == ""
    with guest.on(Event.PRIVILEGED_CALL)(other):
        assert "Invalid argument" in switch(guest, 1)
    assert switch(guest, 1) == ""

    assert asked == [1]


def test_a_step_is_answered(guest: stepvisor.Guest) -> None:
    """vfs_read of 5 bytes is told before its first instruction to read 3."""
    seen: list[tuple[Outcome, int]] = []

    def shorten(event: GuestEvent) -> Answer:
        seen.append((event.outcome, event.pc))
        if event.outcome is Outcome.STARTED:
            return Answer.CONTINUE.set(x2=3)
        return Answer.CONTINUE

    text = ""
    with guest.step("vfs_read", task="dd", answer=shorten) as steps:
        text = guest.run("dd if=/dev/zero bs=5 count=1 2>/dev/null | wc -c").output
        places = [step.pc for step in steps]

    assert text == "3\n"
    assert [pc for outcome, pc in seen if outcome is not Outcome.STARTED][: len(places)] == places
    assert seen[0] == (Outcome.STARTED, guest.running_symbols.lookup("vfs_read").address)


def test_a_step_is_skipped_and_stopped(guest: stepvisor.Guest) -> None:
    """The second instruction of vfs_read, a nop, is jumped over; after it the vCPU is let go."""
    entry = guest.running_symbols.lookup("vfs_read").address

    def jump(event: GuestEvent) -> Answer:
        if event.pc == entry + 4:
            return Answer.SKIP
        return Answer.CONTINUE.stop_stepping() if event.pc > entry + 8 else Answer.CONTINUE

    with guest.step("vfs_read", task="dd", answer=jump) as steps:
        guest.run("dd if=/dev/zero of=/dev/null bs=5 count=1 2>/dev/null")
        offsets = [step.offset for step in steps if step.text]

    assert offsets == [0, 8]


def test_stepping_survives_hot_plug(guest: stepvisor.Guest) -> None:
    """A vCPU that is stepped goes off, comes back and is stepped on: from its very first one."""
    others = guest.counters()[0].trace_steps
    with guest.on(Event.SINGLESTEP, vcpu=1) as events:
        assert wait_until(lambda: guest.counters()[1].trace_steps > 0, 60)
        assert guest.run(f"taskset 1 sh -c 'echo 0 > {CPU1}'", 200).output == ""
        assert online(guest) == "0"
        before = guest.counters()[1].trace_steps
        assert guest.run(f"taskset 1 sh -c 'echo 1 > {CPU1}'", 200).output == ""
        assert online(guest) == "0-1"
        came_up = guest.counters()[1].trace_steps
        assert guest.run("taskset 2 echo alive", 200).output == "alive\n"
        assert guest.counters()[1].trace_steps > came_up > before + 1000
        records = np.concatenate(list(drain(events)))
    started = np.flatnonzero(records["outcome"] == Outcome.STARTED)

    assert set(records["vcpu"].tolist()) == {1}
    assert len(started) == 2
    assert int(records["pstate"][started[1]]) == EL1H_MASKED
    entry = guest.physical(guest.symbols.lookup("secondary_entry").address)
    assert int(records["pc"][started[1]]) == entry
    assert records["instruction_address"][started[1] + 1] == entry
    assert guest.run("taskset 2 echo alive").output == "alive\n"
    assert guest.counters()[0].trace_steps == others


def test_a_vcpu_is_stepped_whatever_runs_there(guest: stepvisor.Guest) -> None:
    """Tasks come, go and move to the other vCPU, which is never stepped."""
    count = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); done"
    before = guest.counters()[0].trace_steps
    with guest.on(Event.SINGLESTEP, vcpu=1) as events:
        guest.run(f"for n in 1 2 3; do taskset 3 sh -c '{count}' & done; wait", 200)
        later = guest.counters()[1].trace_steps
        guest.run("taskset 2 echo here", 200)
        assert guest.counters()[1].trace_steps > later
        assert {int(v) for records in drain(events) for v in set(records["vcpu"])} == {1}
    guest.run("taskset 2 echo here")  # it is let go at its next exit
    steps = guest.counters()[1].trace_steps
    guest.run("taskset 2 echo here")

    assert [c.trace_steps for c in guest.counters()] == [before, steps]


def test_stepping_stands_still_in_a_pause(guest: stepvisor.Guest) -> None:
    """No step while paused, and on from the next instruction; begun and ended while paused, too."""
    with guest.on(Event.SINGLESTEP, vcpu=1) as events:
        assert wait_until(lambda: guest.counters()[1].trace_steps > 0, 60)
        guest.pause()
        assert wait_until(lambda: standing(guest), 60)
        steps = guest.counters()[1].trace_steps
        assert standing(guest)
        assert guest.counters()[1].trace_steps == steps
        guest.resume()
        assert wait_until(lambda: guest.counters()[1].trace_steps > steps + 100, 60)
        records = np.concatenate(list(drain(events)))
        guest.pause()
        assert wait_until(lambda: standing(guest), 60)
    guest.resume()
    follows = records["outcome"][1:] == Outcome.STEPPED
    assert (records["instruction_address"][1:] == records["pc"][:-1])[follows].all()
    assert guest.run("taskset 2 echo alive").output == "alive\n"

    guest.pause()
    assert wait_until(lambda: standing(guest), 60)
    with guest.on(Event.SINGLESTEP, vcpu=1) as events:
        guest.resume()
        assert wait_until(lambda: events.read() is not None, 60)


@pytest.mark.parametrize("how", ["paused", "stepped", "waiting"])
def test_a_brk_probe_needs_no_running_vcpu(guest: stepvisor.Guest, how: str) -> None:
    """Every vCPU must route debug exceptions first: one that stands or steps does so, too."""
    go_on = threading.Event()
    if how == "paused":
        guest.pause()
        assert wait_until(lambda: standing(guest), 60)
    with contextlib.ExitStack() as stack:
        if how == "stepped":
            stack.enter_context(guest.on(Event.SINGLESTEP, vcpu=1))
        if how == "waiting":
            arrived = threading.Event()

            def look(_: GuestEvent) -> Answer:
                arrived.set()
                go_on.wait(120)
                return Answer.CONTINUE.stop_stepping()

            stack.enter_context(guest.on(Event.SINGLESTEP, vcpu=1, timeout=120)(look))
            assert arrived.wait(60)
        with guest.trace("vfs_read", trap="brk") as trace:
            go_on.set()
            guest.resume()
            guest.run(READS, 200)
    assert sum(hit.regs.x2 == 5 for hit in trace) == 300


def test_asynchronous_callbacks(guest: stepvisor.Guest) -> None:
    """They see the same events; nobody waits for them, and what they answer is not heard."""
    calls: list[int] = []

    @guest.on(Event.PRIVILEGED_CALL, synchronous=False)
    def look(event: GuestEvent) -> Answer:
        assert not event.waits
        calls.append(event.x[0])
        return Answer.DENY

    assert switch(guest, 0) == ""
    assert switch(guest, 1) == ""
    assert online(guest) == "0-1"
    assert wait_until(lambda: CPU_ON in calls, 60)
    look.close()

    assert [call for call in calls if call != AFFINITY_INFO] == [CPU_OFF, CPU_ON]


def test_a_callback_that_leaves_and_one_that_hangs(guest: stepvisor.Guest) -> None:
    """sys.exit() in a callback ends nothing; one that hangs is reported before it returns."""
    before = len(guest.troubles)

    def leave(_: GuestEvent) -> Answer:
        sys.exit("enough")

    with guest.on(Event.PRIVILEGED_CALL, timeout=60)(leave):
        assert switch(guest, 0) == ""
        assert switch(guest, 1) == ""
    assert all("raised SystemExit('enough')" in t.what for t in guest.troubles[before:])
    assert len(guest.troubles) > before + 1

    go_on = threading.Event()
    before = len(guest.troubles)

    def hang(_: GuestEvent) -> None:
        go_on.wait(120)

    with guest.on(Event.PRIVILEGED_CALL, timeout=0.1)(hang):
        assert switch(guest, 0) == ""
        assert wait_until(lambda: len(guest.troubles) > before, 60)
        assert "did not answer in time" in guest.troubles[before].what
        assert online(guest) == "0"
        go_on.set()
    assert switch(guest, 1) == ""


def test_enabling_twice_and_disabling_what_is_off(guest: stepvisor.Guest) -> None:
    monitor = guest.monitor
    with guest.on(Event.SINGLESTEP, vcpu=1) as events:
        for on in (True, True, False, False, True, True):
            monitor.set_stepping({1}, on=on)
        assert wait_until(lambda: events.read() is not None, 60)
        for _ in range(2):
            monitor.set_stepping({1}, on=False)
        assert guest.run("taskset 2 echo alive").output == "alive\n"
    monitor.set_stepping(None, on=False)
    monitor.set_events(set())
    monitor.set_events(set())
    assert guest.run("taskset 2 echo alive").output == "alive\n"
    with pytest.raises(InputError, match="vCPU 7"):
        monitor.set_stepping({7}, on=True)


def test_pause(guest: stepvisor.Guest) -> None:
    """A paused guest stands still, takes commands, and goes on."""
    guest.pause()
    guest.pause()
    assert wait_until(lambda: standing(guest), 60)
    with guest.trace("vfs_read") as trace:
        assert wait_until(lambda: standing(guest), 60)
        guest.resume()
        guest.run(READS)
    assert sum(hit.regs.x2 == 5 for hit in trace) == 300
    guest.resume()


def standing(guest: stepvisor.Guest) -> bool:
    before = [counter.exits for counter in guest.counters()]
    time.sleep(0.5)  # that nothing happens is no event
    return [counter.exits for counter in guest.counters()] == before


def test_two_callbacks_for_one_event(guest: stepvisor.Guest) -> None:
    with (
        guest.on(Event.PRIVILEGED_CALL)(lambda _: None),
        pytest.raises(InputError, match="answers PRIVILEGED_CALL already"),
    ):
        guest.on(Event.PRIVILEGED_CALL)(lambda _: None)


def test_a_breakpoint_of_the_guests_own(guest: stepvisor.Guest) -> None:
    """BRK in user code: seen with its number, and the guest's debugger gets it all the same."""
    with guest.on(Event.SOFTWARE_BREAKPOINT) as events:
        assert guest.run("/root/debugged").output == DEBUGGED
        seen = [(event.word, event.esr & 0xFFFF) for event in events]

    assert seen == [(BRK_77, 77)]


def test_probes_planted_as_brk(guest: stepvisor.Guest) -> None:
    """They are hit as exactly as SMCs; the guest's kprobes and its ptrace work meanwhile."""
    kprobe = f"{KPROBES}/kprobe_events"
    with guest.trace("vfs_read", trap="brk") as trace:
        guest.run(
            f"echo 'p:own vfs_write' > {kprobe}; echo 1 > {KPROBES}/events/kprobes/own/enable"
        )
        guest.run(READS)
        profile = guest.run(f"cat {KPROBES}/kprobe_profile").output.split()
        debugged = guest.run("/root/debugged").output
    guest.run(f"echo 0 > {KPROBES}/events/kprobes/own/enable; echo > {kprobe}")

    assert sum(hit.regs.x2 == 5 for hit in trace) == 300
    assert profile[0] == "own"
    assert int(profile[1]) >= 300
    assert debugged == DEBUGGED


def drain(events: stepvisor.Listener) -> Iterator[NDArray]:
    while (records := events.read()) is not None:
        yield records


def test_a_function_with_a_kprobe_is_stepped(guest: stepvisor.Guest) -> None:
    """The guest's BRK is an exception of the stepped path, and counts in the guest."""
    kprobe = f"{KPROBES}/kprobe_events"
    guest.run(
        f"echo 'p:own vfs_read+0x10' > {kprobe}; echo 1 > {KPROBES}/events/kprobes/own/enable"
    )
    with guest.step("vfs_read", task="dd", timeout=30) as steps:
        command = threading.Thread(target=guest.run, args=(READS,))
        command.start()
        outcomes = [step.outcome for step in steps]
        command.join()
    profile = guest.run(f"cat {KPROBES}/kprobe_profile").output.split()
    guest.run(f"echo 0 > {KPROBES}/events/kprobes/own/enable; echo > {kprobe}")

    assert Outcome.EXCEPTION in outcomes
    assert profile[0] == "own"
    assert int(profile[1]) >= 300
