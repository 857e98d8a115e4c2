"""The first million instructions of a kernel, one by one; and the command line."""

import itertools
import json
import re

import numpy as np
import pytest
from command_line import CommandLine

import stepvisor
from stepvisor import Outcome
from stepvisor.errors import GuestError

pytestmark = pytest.mark.system

MILLION = 1_000_000


@pytest.mark.parametrize("cpu", ["max,pauth-impdef=on", "cortex-a57"])
def test_a_million_instructions_from_the_first(cpu: str) -> None:
    """From start_kernel, armed before the guest runs; then let go, it comes up as ever."""
    with stepvisor.start(cpu=cpu, memory="512M", paused=True) as guest:
        assert guest.counters()[0].exits == 0
        last, count, outcomes = 0, 0, np.zeros(len(Outcome), np.int64)
        with guest.step("start_kernel", MILLION, timeout=120) as steps:
            guest.resume()
            for records in steps.batches():
                stepped = records["outcome"] == Outcome.STEPPED
                before = np.concatenate([np.array([last], np.uint64), records["pc"][:-1]])
                assert (records["instruction_address"] == before)[stepped].all()
                last, count = int(records["pc"][-1]), count + len(records)
                outcomes += np.bincount(records["outcome"], minlength=len(Outcome))
        assert steps.finished
        guest.wait_ready()

        assert outcomes.sum() == count == MILLION + 2
        assert (outcomes[Outcome.STARTED], outcomes[Outcome.STOPPED], steps.lost) == (1, 1, 0)
        address = int(
            guest.run("awk '$3 == \"start_kernel\" {print $1}' /proc/kallsyms").output, 16
        )
        assert guest.running_symbols.lookup("start_kernel").address == address
        assert guest.run("grep -c processor /proc/cpuinfo").output == "2\n"
        assert [(c.derailed, c.astray) for c in guest.counters()] == [(0, 0), (0, 0)]


def test_until_a_symbol_needs_a_kernel_that_runs() -> None:
    with (
        stepvisor.start(memory="512M", paused=True) as guest,
        pytest.raises(GuestError, match="cannot be known before user space runs"),
    ):
        guest.step("start_kernel", "rest_init")


def test_step_as_text(command_line: CommandLine) -> None:
    command = "dd if=/dev/zero of=/dev/null bs=1 count=1 2>/dev/null"
    result = command_line.run("step", "vfs_read", "--task", "dd", "--run", command)
    lines = result.stdout.splitlines()

    assert (result.returncode, result.stderr) == (0, "")
    assert lines[0].split() == ["ADDRESS", "PLACE", "INSTRUCTION", "CHANGED"]
    assert re.match(r"[0-9a-f]{16}  vfs_read\+0x0 +mov x9, x30 +x9=0x[0-9a-f]+$", lines[1])
    assert any(re.match(r"[0-9a-f]{16}    \w+\+0x0 ", line) for line in lines)
    assert re.match(r"[\d,]+ instructions, 0 interrupts", lines[-1])
    assert "vfs_read" in lines[-2]
    assert "ret" in lines[-2]


def test_step_as_json(command_line: CommandLine) -> None:
    command = "dd if=/dev/zero of=/dev/null bs=1 count=1 2>/dev/null"
    result = command_line.run(
        "step", "vfs_read", "--until", "12", "--task", "dd", "--json", "--run", command
    )
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    steps = [step for step in objects[:-1] if step["text"]]

    assert (result.returncode, result.stderr) == (0, "")
    assert len(steps) == 12
    assert [step["symbol"] for step in steps] == ["vfs_read"] * 12
    assert all(later["address"] == earlier["pc"] for earlier, later in itertools.pairwise(steps))
    assert objects[-1]["summary"]["instructions"] == 12
    assert objects[-1]["summary"]["finished"] is True


def test_step_with_user_code(command_line: CommandLine) -> None:
    """From inside a system call on, out to its caller; user code has no symbols here."""
    result = command_line.run(
        *("step", "__arm64_sys_getpid", "--task", "sh", "--until", "2000", "--el0", "--json"),
        *("--run", "sh -c 'echo $$' >/dev/null"),
    )
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    # An instruction whose page is not there yet has no text: its fetch is an exception.
    steps = [step for step in objects[:-1] if step["outcome"] not in {"INTERRUPT", "RESUMED"}]

    assert (result.returncode, result.stderr) == (0, "")
    assert len(steps) == 2000
    assert steps[0]["el"] == 1
    assert all(later["address"] == earlier["pc"] for earlier, later in itertools.pairwise(steps))
    user = [step for step in steps if step["el"] == 0]
    assert {step["symbol"] for step in user} == {""}
    assert all(int(step["address"], 16) < 1 << 48 for step in user)
    before = steps[steps.index(user[0]) - 1]
    assert before["text"] == "eret"


def test_step_with_interrupts(command_line: CommandLine) -> None:
    """Their handlers are interludes of their own depth, or one line when they are skipped."""
    command = "dd if=/dev/zero of=/dev/null bs=1M count=1 2>/dev/null"
    arguments = ("step", "vfs_read", "--task", "dd", "--until", "40000", "--run", command)
    shown = command_line.run(*arguments, "--interrupts")
    skipped = command_line.run(*arguments)

    for result in (shown, skipped):
        assert (result.returncode, result.stderr) == (0, "")
    taken = re.findall(r"-- interrupt, to the vector 0x[0-9a-f]+$", shown.stdout, re.MULTILINE)
    assert taken
    assert f"{len(taken)} interrupt{'s' if len(taken) > 1 else ''} stepped" in shown.stdout
    assert "-- interrupt (skipped)" in skipped.stdout
    assert "to the vector" not in skipped.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vfs_raed"], "did you mean vfs_read"),
        (["vfs_read", "--until", "vfs_raed"], "did you mean vfs_read"),
        (["vfs_read", "--until", "0"], "0 is not a number of instructions"),
        (["vfs_read", "--task", "a-name-that-is-too-long"], "names have 1 to 15 bytes"),
        (["vfs_read+0x10"], "is inside a function: say when to stop"),
        (["cpu_switch_to", "--over", "cpu_switch_to"], "cannot be stepped and stepped over"),
    ],
)
def test_a_wrong_step_is_one_line(
    command_line: CommandLine, arguments: list[str], words: str
) -> None:
    result = command_line.run("step", *arguments)

    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not command_line.wait_gone()


@pytest.mark.parametrize("cpu", ["max,pauth-impdef=on", "cortex-a57"])
def test_the_monitor_steps_itself(command_line: CommandLine, cpu: str) -> None:
    """A routine that counts bits: 0xdeadbeef has 24."""
    result = command_line.run("selftest", "--el2", "--cpu", cpu)
    *trail, _, last = result.stdout.splitlines()

    assert (result.returncode, result.stderr) == (0, "")
    assert len(trail) > 20
    assert all(re.match(r"00000000402[0-9a-f]{5}  [a-z]", line) for line in trail)
    assert re.fullmatch(r"\d+ steps at EL2; 0x18 stepped, 0x18 free: equal", last)
