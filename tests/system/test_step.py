"""Stepping functions of a real kernel, with capstone as the oracle for what an instruction does."""

import itertools
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import capstone
import numpy as np
import pytest
from capstone import arm64
from numpy.typing import NDArray
from shell import until_asleep

import stepvisor
from stepvisor import Outcome, Step
from stepvisor.errors import GuestError, InputError

pytestmark = pytest.mark.system

MASK = (1 << 64) - 1
READ_ONE = "dd if=/dev/zero of=/dev/null bs=1 count=1 2>/dev/null"


@pytest.fixture(scope="module", params=["max,pauth-impdef=on", "cortex-a57"])
def cpu(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def guest(cpu: str) -> Iterator[stepvisor.Guest]:
    with stepvisor.boot(cpu=cpu, memory="512M") as guest:
        guest.wait_ready()
        yield guest
        counters = guest.counters()
        assert [(c.derailed, c.astray) for c in counters] == [(0, 0)] * len(counters)
        assert guest.troubles == ()


@dataclass
class Command:
    """A command that runs in the guest meanwhile."""

    guest: stepvisor.Guest
    text: str

    def __enter__(self) -> Self:
        self.output = ""
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self) -> None:
        self.output = self.guest.run(self.text).output

    def __exit__(self, *_: object) -> None:
        self.thread.join()


def step_all(guest: stepvisor.Guest, command: str, *args: object, **options: object) -> list:
    with guest.step(*args, **options) as steps, Command(guest, command):
        return list(steps)


def instructions(steps: Iterable[Step]) -> list[Step]:
    """Without what an interrupt in between says of itself."""
    return [step for step in steps if step.text]


def record_all(guest: stepvisor.Guest, command: str, *args: object, **options: object) -> NDArray:
    with guest.step(*args, **options) as steps, Command(guest, command):
        return steps.array()


class Oracle:
    """Where an instruction may lead, and what simple ones compute, by capstone's decoding."""

    def __init__(self) -> None:
        self.decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
        self.decoder.detail = True
        self.computed = 0

    def check(self, before: np.void, after: np.void) -> None:
        address, word = int(after["instruction_address"]), int(after["word"])
        assert address == int(before["pc"])
        code = next(self.decoder.disasm(word.to_bytes(4, "little"), address), None)
        if code is None:
            # capstone 5 does not know LDTR with the same register twice.
            assert word & 0x3F200C00 == 0x38000800, f"{word:#x}"
            assert int(after["pc"]) == address + 4
            return
        assert int(after["pc"]) in self.successors(code, before), f"{code} to {after['pc']:#x}"
        self.compute(code, before, after)

    def successors(self, code: capstone.CsInsn, before: np.void) -> set[int]:
        following = code.address + 4
        if code.mnemonic in {"ret", "br", "blr"}:
            name = code.op_str or "x30"
            return {int(before["x"][register_number(name)])}
        if code.mnemonic in {"b", "bl"}:
            return {code.operands[0].imm & MASK}
        if code.mnemonic.startswith(("b.", "cb", "tb")):
            return {following, code.operands[-1].imm & MASK}
        assert code.mnemonic not in {"retaa", "retab", "braa", "blraa", "eret"}, "not expected here"
        return {following}

    def compute(self, code: capstone.CsInsn, before: np.void, after: np.void) -> None:
        """`mov xd, xn`, `add` and `sub` of an immediate: the new value, and no other register."""
        if code.mnemonic not in {"mov", "add", "sub"} or not re.fullmatch(
            r"x\d+, x\d+(, #(0x)?[0-9a-f]+)?", code.op_str
        ):
            return
        target, source = (register_number(code.reg_name(op.reg)) for op in code.operands[:2])
        value = int(before["x"][source])
        if code.mnemonic != "mov":
            sign = 1 if code.mnemonic == "add" else -1
            assert code.operands[2].type == arm64.ARM64_OP_IMM
            value = value + sign * code.operands[2].imm & MASK
        expected = before["x"].copy()
        expected[target] = value
        assert (after["x"] == expected).all(), f"{code}"
        self.computed += 1


def register_number(name: str) -> int:
    return {"fp": 29, "lr": 30}.get(name) or int(name[1:])


def check_path(guest: stepvisor.Guest, records: NDArray, symbol: str) -> Counter:
    """From the first instruction of `symbol` to its return, each step from where the last led."""
    oracle = Oracle()
    for before, after in itertools.pairwise(records):
        outcome = Outcome(int(after["outcome"]))
        if outcome is Outcome.STEPPED:
            oracle.check(before, after)

    assert int(records["pc"][0]) == guest.running_symbols.lookup(symbol).address
    assert int(records["pc"][-1]) == int(records["x"][0, 30])
    assert int(records["sp_el1"][-1]) == int(records["sp_el1"][0])
    assert records["outcome"][[0, -1]].tolist() == [Outcome.STARTED, Outcome.STOPPED]
    assert oracle.computed > 20
    return Counter(Outcome(int(outcome)) for outcome in records["outcome"])


def test_every_step_follows_from_the_one_before(guest: stepvisor.Guest) -> None:
    records = record_all(guest, READ_ONE, "vfs_read", task="dd")

    outcomes = check_path(guest, records, "vfs_read")

    assert outcomes[Outcome.STEPPED] > 300
    assert set(outcomes) <= {Outcome.STARTED, Outcome.STEPPED, Outcome.RESUMED, Outcome.STOPPED}


def test_exclusive_sequences_are_stepped(guest: stepvisor.Guest, cpu: str) -> None:
    """Opening a file takes locks and counts references: by exclusives where there is no LSE."""
    records = record_all(guest, "cat /proc/version", "do_sys_openat2", task="cat")

    outcomes = check_path(guest, records, "do_sys_openat2")

    assert 3 <= int(records["x"][-1, 0]) < 10
    assert set(outcomes) <= {Outcome.STARTED, Outcome.STEPPED, Outcome.RESUMED, Outcome.STOPPED}
    decoder = Oracle().decoder
    words = {int(word): int(word).to_bytes(4, "little") for word in set(records["word"].tolist())}
    stores = [
        word
        for word, code in words.items()
        for instruction in decoder.disasm(code, 0)
        if re.match(r"stl?x[rp]", instruction.mnemonic)
    ]
    tried = records[np.isin(records["word"], stores)]
    last_status = {
        int(record["instruction_address"]): int(record["x"][int(record["word"]) >> 16 & 31])
        for record in tried
    }
    assert (len(tried) > 5) == (cpu == "cortex-a57")
    # One that an interrupt breaks up tries again: how often, the load of the machine decides.
    assert not any(last_status.values())


def test_steps_say_where_and_what(guest: stepvisor.Guest) -> None:
    """The same through `Step`: names, depth, and registers that add up to the last state."""
    entry = guest.running_symbols.lookup("vfs_read").address
    steps = step_all(guest, READ_ONE, "vfs_read", task="dd")
    ran = [step for step in steps if step.text]

    assert (ran[0].place, ran[0].address, ran[0].depth) == ("vfs_read+0x0", entry, 0)
    assert ran[-1].text.startswith("ret")
    assert (ran[-1].symbol, ran[-1].depth) == ("vfs_read", 0)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert max(step.depth for step in ran) >= 2
    for before, after in itertools.pairwise(ran):
        if "<cpu_switch_to>" in before.text:
            continue  # stepped over: another task ran meanwhile
        assert after.address == before.pc
        if before.text.startswith("bl"):
            assert after.depth == before.depth + 1
            # Unchanged where the same call comes twice in a row.
            _, link = before.changed.get("x30", (0, before.address + 4))
            assert link == before.address + 4
            assert before.text.startswith("blr") or f"<{after.symbol}>" in before.text
        else:
            assert after.depth <= before.depth
    values: dict[str, int] = {}
    for step in steps:
        for name, (old, new) in step.changed.items():
            assert old != new
            assert values.get(name, old) == old, f"{name} before step {step.number}"
            values[name] = new
    assert values["x0"] == 1


def test_two_runs_are_equal(guest: stepvisor.Guest) -> None:
    """read_zero of one byte does the same each time that nobody asks it to give way."""
    command = "dd if=/dev/zero of=/dev/null bs=1 count=3 2>/dev/null"
    seen: list[list[tuple[int, int]]] = []
    # On a slow machine a tick of the guest's may come in a run; then it calls the scheduler.
    for _ in range(6):
        steps = step_all(guest, command, "read_zero", task="dd")
        run = [(s.address - s.offset, s.offset) for s in steps if s.text]
        assert len(run) > 20
        if run in seen:
            return
        seen.append(run)
    pytest.fail(f"{len(seen)} runs, all of them different")


def test_until_a_symbol(guest: stepvisor.Guest) -> None:
    """It ends in front of that function's first instruction."""
    steps = step_all(guest, READ_ONE, "vfs_read", "read_zero", task="dd")
    target = guest.running_symbols.lookup("read_zero").address

    assert steps[-1].pc == target
    assert all(step.symbol != "read_zero" for step in steps)


@pytest.mark.parametrize("count", [1, 2, 137])
def test_until_a_number(guest: stepvisor.Guest, count: int) -> None:
    steps = step_all(guest, READ_ONE, "vfs_read", count, task="dd")

    assert sum(step.outcome is not Outcome.RESUMED for step in steps) == count


def test_until_an_address_inside(guest: stepvisor.Guest) -> None:
    address = guest.running_symbols.lookup("vfs_read").address + 0x10

    steps = step_all(guest, READ_ONE, "vfs_read", address, task="dd")

    assert [step.place for step in steps if step.text] == [
        f"vfs_read+{offset:#x}" for offset in (0, 4, 8, 12)
    ]


def _through_a_handler(guest: stepvisor.Guest, command: str) -> list[Step]:
    """The steps of a read until the handler of its first interrupt has returned.

    How many they are depends on how slow the guest is: other interrupts come in the middle.
    """
    seen: list[Step] = []
    taken: Step | None = None
    steps = guest.step("vfs_read", 1_000_000, task="dd", interrupts=True)
    with steps, Command(guest, command):
        for step in steps:
            seen.append(step)
            if taken is None and step.outcome is Outcome.INTERRUPT:
                taken = step
            if taken and step.text.startswith("eret") and step.depth == taken.depth + 1:
                break
        steps.close()
    return seen


def test_interrupts_as_interludes(guest: stepvisor.Guest) -> None:
    """Asked for, their handlers are stepped, and what was interrupted goes on unharmed."""
    command = "dd if=/dev/zero of=/dev/null bs=1M count=1 2>/dev/null"
    steps = _through_a_handler(guest, command)
    taken = [index for index, step in enumerate(steps) if step.outcome is Outcome.INTERRUPT]

    assert taken
    for index in taken:
        assert steps[index].pc % 0x80 == 0
        assert steps[index + 1].address == steps[index].pc
        assert steps[index + 1].depth == steps[index].depth + 1
    assert steps[-1].pc == steps[taken[0]].address


def test_interrupts_are_skipped(guest: stepvisor.Guest) -> None:
    """Not asked for, they run freely; the path is that of the function alone."""
    command = "dd if=/dev/zero of=/dev/null bs=64k count=1 2>/dev/null"
    records = record_all(guest, command, "vfs_read", 30_000, task="dd")
    resumed = np.flatnonzero(records["outcome"] == Outcome.RESUMED)

    assert Outcome.INTERRUPT not in set(records["outcome"].tolist())
    switch = guest.running_symbols.lookup("cpu_switch_to").address
    skipped = [index for index in resumed.tolist() if records["pc"][index - 1] != switch]
    assert skipped
    for index in skipped:
        assert records["pc"][index] == records["pc"][index - 1]
        assert (records["x"][index] == records["x"][index - 1]).all()


def test_a_function_that_blocks_shows_its_own_task_only(guest: stepvisor.Guest) -> None:
    """cat waits in a pipe; another task fills it meanwhile."""
    command = f"({until_asleep('cat')}; echo late) | cat"
    # Pipes without a name have a function of their own from 6.15 on.
    name = "anon_pipe_read" if guest.symbols.match("anon_pipe_read") else "pipe_read"
    records = record_all(guest, command, name, task="cat")

    assert len(set(records["sp_el0"].tolist())) == 1
    switched = np.flatnonzero(
        (records["outcome"][1:] == Outcome.RESUMED) & (records["pc"][1:] != records["pc"][:-1])
    )
    assert len(switched) >= 1
    assert int(records["x"][-1, 0]) == len("late\n")


def test_a_function_stepped_over(guest: stepvisor.Guest) -> None:
    """rw_verify_area is called, and none of its instructions is seen."""
    steps = step_all(guest, READ_ONE, "vfs_read", task="dd", over=["rw_verify_area"])
    back = [s for s in steps if s.outcome is Outcome.RESUMED and s.pc != s.address]
    # An interrupt on the way may have led to another task and back.
    skipped = [step for step in back if step.symbol != "cpu_switch_to"]

    assert [step.symbol for step in skipped] == ["rw_verify_area"]
    assert "rw_verify_area" not in {step.symbol for step in steps if step.text}
    before = steps[steps.index(skipped[0]) - 1]
    assert skipped[0].pc == before.address + 4
    assert steps[-1].text.startswith("ret")


def test_a_function_that_nobody_calls(guest: stepvisor.Guest) -> None:
    with pytest.raises(GuestError, match=r"vfs_read was not called by 'nobody' within 0\.5 s"):
        step_all(guest, READ_ONE, "vfs_read", task="nobody", timeout=0.5)

    assert guest.run("echo still here").output == "still here\n"


def test_a_step_that_is_given_up(guest: stepvisor.Guest) -> None:
    """Left in the middle, the guest runs on, and can be stepped again."""
    with guest.step("vfs_read", 100_000_000, task="dd") as steps, Command(guest, READ_ONE):
        for step in steps:
            if step.number == 50:
                break
        steps.close()
    # What is being stepped is let go at its next exit.
    assert guest.run("taskset 1 echo; taskset 2 echo").exit_code == 0
    before = sum(c.trace_steps for c in guest.counters())
    assert guest.run("echo free; cat /proc/self/maps | wc -l").output.startswith("free\n")

    assert sum(c.trace_steps for c in guest.counters()) == before
    assert len(instructions(step_all(guest, READ_ONE, "vfs_read", 3, task="dd"))) == 3


def test_only_one_at_a_time(guest: stepvisor.Guest) -> None:
    with guest.step("vfs_read", task="nobody"):
        with pytest.raises(InputError, match="stepped already"), guest.step("vfs_write"):
            pass
        with (
            pytest.raises(InputError, match="stepped already"),
            guest.on(stepvisor.Event.SINGLESTEP),
        ):
            pass


def test_probes_on_the_same_page_count_meanwhile(guest: stepvisor.Guest) -> None:
    """A trace of the instructions behind the entry, and of a neighbour, while it is stepped."""
    command = "dd if=/dev/zero of=/dev/null bs=3 count=200 2>/dev/null"
    with guest.trace("vfs_read+0x4", "vfs_write") as trace:
        steps = step_all(guest, command, "vfs_read", task="dd")
        hits = [hit.symbol for hit in trace if hit.regs.x2 == 3]

    assert sum(step.place == "vfs_read+0x4" for step in steps if step.text) == 1
    # In order on each vCPU; the task may have moved from one to the other.
    assert sorted(hits) == ["vfs_read+0x4"] * 200 + ["vfs_write"] * 200


def test_without_a_with_block(guest: stepvisor.Guest) -> None:
    """As an iterator it arms and disarms itself."""
    guest.run("while :; do usleep 100000; cat /dev/null; done & echo $! > /tmp/reader")
    steps = instructions(guest.step("vfs_read", 5))
    guest.run("kill $(cat /tmp/reader)")

    assert len(steps) == 5
    assert steps[0].place == "vfs_read+0x0"
