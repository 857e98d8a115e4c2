"""What a step waits for may never come: it ends then, says why, and the guest goes on."""

import json
import threading
from collections.abc import Iterator

import pytest
from bare import BareGuest
from command_line import CommandLine
from shell import until_asleep

import stepvisor
from stepvisor import Ending, Event, Outcome
from stepvisor.monitor.vocabulary import StepOption
from stepvisor.trace.events import Consumer, EventHub
from stepvisor.trace.troubles import Troubles

pytestmark = pytest.mark.system

HEAD = "head -c 1 /dev/zero > /dev/null; sleep 0.1"
CPU1 = "/sys/devices/system/cpu/cpu1/online"
OFF_AND_ON = 3
"""The scene of the payload in which vCPU 1 does nothing else."""
AROUND = {Outcome.STARTED, Outcome.VCPU_OFF, Outcome.STOPPED}
FAR = 600.0
"""Seconds that no wait takes: a test that needs them has failed."""


@pytest.fixture(scope="module")
def guest() -> Iterator[stepvisor.Guest]:
    with stepvisor.boot(memory="512M") as guest:
        guest.wait_ready()
        yield guest
        counters = guest.counters()
        assert [(c.derailed, c.astray) for c in counters] == [(0, 0)] * len(counters)


def run_to_end(
    guest: stepvisor.Guest, command: str, *what: str, **options: object
) -> tuple[list[stepvisor.Step], stepvisor.Stepping]:
    """What was stepped while `command` ran in the guest, which takes the next command then."""
    with guest.step(*what, timeout=FAR, **options) as stepping:
        thread = threading.Thread(target=guest.run, args=(command,))
        thread.start()
        steps = list(stepping)
        thread.join()
    return steps, stepping


def test_the_task_ends_while_it_is_stepped(guest: stepvisor.Guest) -> None:
    steps, stepping = run_to_end(guest, HEAD, "exit_rcu", "panic", task="head")

    assert (stepping.ending, stepping.finished) == (Ending.TASK, False)
    assert steps[0].symbol == "exit_rcu"
    assert steps[-1].pc == guest.running_symbols.lookup("do_task_dead").address


def test_the_task_ends_in_a_function_that_runs_freely(guest: stepvisor.Guest) -> None:
    """Stepping waits for the return of do_exit, which never returns."""
    steps, stepping = run_to_end(guest, HEAD, "do_group_exit", task="head", over=["do_exit"])

    assert (stepping.ending, stepping.reason) == (Ending.TASK, "the task ended")
    assert steps[-1].pc == guest.running_symbols.lookup("do_exit").address


def test_another_task_that_ends_is_not_meant(guest: stepvisor.Guest) -> None:
    """head waits in a pipe while others end."""
    command = "(for i in 1 2 3 4; do /bin/true; done; sleep 0.2; echo x) | head -c 1"
    steps, stepping = run_to_end(guest, command, "ksys_read", task="head")

    assert (stepping.ending, stepping.finished) == (Ending.ASKED, True)
    assert steps[-1].text == "ret"


@pytest.mark.parametrize("over", [(), ("do_task_dead",)])
def test_the_last_function_of_a_task(guest: stepvisor.Guest, over: tuple[str, ...]) -> None:
    """Where it ends cannot be told there; but that its structure is given back can."""
    start = "exit_rcu" if over else "do_task_dead"
    steps, stepping = run_to_end(guest, HEAD, start, "panic", task="head", over=over)

    assert stepping.ending is Ending.TASK
    assert steps[0].symbol == start


def test_the_task_is_killed(guest: stepvisor.Guest) -> None:
    """It waits for what nobody writes, in a function that is stepped over."""
    command = f"sleep 1000 | head -c 1 & {until_asleep('head')}; killall head sleep; wait"
    _, stepping = run_to_end(guest, command, "ksys_read", task="head", over=["vfs_read"])

    # A signal ends the read; the task dies on its way back to user space.
    assert stepping.ending in {Ending.ASKED, Ending.TASK}


@pytest.mark.parametrize("over", [(), ("cpu_die",)])
def test_the_vcpu_goes_off(guest: stepvisor.Guest, over: tuple[str, ...]) -> None:
    steps, stepping = run_to_end(guest, f"echo 0 > {CPU1}", "arch_cpu_idle_dead", over=over)
    guest.run(f"echo 1 > {CPU1}")

    assert (stepping.ending, stepping.reason) == (Ending.VCPU, "its vCPU went off")
    assert {step.vcpu for step in steps} == {1}
    assert guest.run("cat /sys/devices/system/cpu/online").output == "0-1\n"


def test_a_vcpu_that_is_stepped_goes_off_and_comes_back() -> None:
    """It is told each time; and stepping goes on with the first instruction."""
    variables = {"scene": OFF_AND_ON, "cycles": 3, "rounds": 5}
    with BareGuest("vcpus", vcpus=2, variables=variables) as guest:
        guest.ready("online")
        hub = EventHub(guest.monitor, Troubles())
        consumer = Consumer(frozenset({Event.SINGLESTEP}), frozenset({1}))
        hub.add(consumer)
        guest.monitor.configure_step(StepOption.EL0)
        guest.monitor.set_stepping({1}, on=True)
        guest.go()
        guest.ready("counted")
        consumer.sync()
        hub.close()
    told: list[int] = []
    while (records := consumer.read()) is not None:
        told += [outcome for outcome in records["outcome"].tolist() if outcome in AROUND]

    assert told == [Outcome.STARTED, Outcome.VCPU_OFF] * 3


@pytest.mark.parametrize(
    ("command", "function", "over", "reason"),
    [
        ("poweroff -f", "machine_power_off", [], "powered off"),
        ("reboot -f", "machine_restart", [], "powered off"),
        ("poweroff -f", "__arm64_sys_reboot", ["kernel_power_off"], "powered off"),
        ("echo c > /proc/sysrq-trigger", "sysrq_handle_crash", ["panic"], "Kernel panic"),
    ],
)
def test_the_guest_ends(command: str, function: str, over: list[str], reason: str) -> None:
    with stepvisor.boot(memory="512M") as guest:
        guest.wait_ready()
        with guest.step(function, over=over, timeout=FAR) as stepping:
            guest.console.write(f"{command}\n".encode())
            steps = list(stepping)

        assert stepping.ending is Ending.GUEST
        assert reason in stepping.reason
        assert steps[0].symbol == function


def test_a_number_that_is_reached_in_user_space(guest: stepvisor.Guest) -> None:
    """Its instructions count, though they are not shown."""
    _, stepping = run_to_end(guest, HEAD, "vfs_read", "4000", task="head")

    assert stepping.ending is Ending.ASKED


def test_command_line(command_line: CommandLine) -> None:
    done = command_line.run(
        *("step", "do_group_exit", "--task", "head", "--over", "do_exit", "--json", "--run", HEAD)
    )
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]

    assert (done.returncode, done.stderr) == (3, "")
    assert (summary["finished"], summary["ending"]) == (False, "TASK")
    assert summary["instructions"] > 0


def test_command_line_of_a_guest_that_ends(command_line: CommandLine) -> None:
    done = command_line.run(
        *("step", "__arm64_sys_reboot", "--over", "kernel_power_off", "--run", "poweroff -f")
    )

    assert (done.returncode, done.stderr) == (3, "")
    assert "before the end that was asked for: the guest has powered off" in done.stdout


def test_command_line_of_what_does_not_end(command_line: CommandLine) -> None:
    """Nothing ends what is waited for: an error, after what has been seen."""
    wait = "sleep 1000 | head -c 1"
    done = command_line.run("step", "ksys_read", "--task", "head", "--timeout", "5", "--run", wait)

    assert done.returncode == 1
    assert "stepping from ksys_read did not come to its end" in done.stderr
    assert "stepping ended before the end that was asked for" in done.stdout.splitlines()[-1]
    assert " instructions, " in done.stdout.splitlines()[-2]


def test_a_command_that_never_calls_it(command_line: CommandLine) -> None:
    """The step ends with the command, long before its timeout, and what it printed is shown."""
    done = command_line.run("step", "vfs_mkdir", "--timeout", f"{FAR:g}", "--run", "echo none")

    assert done.returncode == 1
    assert "vfs_mkdir was not called before `echo none` ended" in done.stderr
    assert "none\n" in done.stderr.splitlines(keepends=True)
