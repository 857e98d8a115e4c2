"""From rings to hits, with a backend made of lists."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from stepvisor.errors import GuestError, InputError, MonitorError, ProbeError
from stepvisor.machine.console import Console
from stepvisor.monitor.capture import CapturedValue, CaptureLayout, ValueKind
from stepvisor.monitor.events import (
    HIT_DTYPE,
    Drained,
    Lost,
    Notice,
    ProbeChanged,
    ProbeGone,
)
from stepvisor.monitor.interface import (
    Capabilities,
    Plan,
    Policy,
    ProbeRequest,
    VcpuCounters,
)
from stepvisor.monitor.registers import CpuRegisters
from stepvisor.probe.many import Refused
from stepvisor.trace.columns import HitFormat
from stepvisor.trace.hit import Batch
from stepvisor.trace.shell import Shell
from stepvisor.trace.spool import Spool
from stepvisor.trace.summary import Summary
from stepvisor.trace.trace import Trace
from stepvisor.views import jsonlines, text


def hits(
    count: int, *, vcpu: int = 0, slot: int = 1, first: int = 0, step: int = 10
) -> NDArray[np.void]:
    array = np.zeros(count, HIT_DTYPE)
    array["vcpu"], array["slot"] = vcpu, slot
    array["sequence"] = np.arange(first, first + count)
    array["ticks"] = 1000 + step * np.arange(first, first + count)
    array["pc"] = 0xFFFF_8000_8000_1000
    array["x"] = np.arange(count)[:, None] + np.arange(6)
    return array


class FakeBackend:
    """Implements the backend interface by doing what it is told."""

    frequency, start_ticks, user_ticks = 1000, 500, 800
    capabilities = Capabilities(2, 100, 6, frozenset(Policy))

    def __init__(self) -> None:
        self.waiting: list[Drained] = []
        self.calls: list[object] = []
        self.error: Exception | None = None
        self.gone: tuple[int, ...] = ()
        self.ticks = 0
        self.lock = threading.Lock()

    def put(self, *arrays: NDArray[np.void], lost: int = 0) -> None:
        self.tell(*[Lost(0, 0, 0, 0, lost=lost)] if lost else [], hits=arrays)

    def tell(self, *notices: Notice, hits: Sequence[NDArray[np.void]] = ()) -> None:
        with self.lock:
            self.waiting.append(Drained(list(hits), list(notices)))

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def arm(self, probes: Sequence[ProbeRequest]) -> None:
        self.calls.append(("arm", [probe.slot for probe in probes]))

    def disarm(self, slots: Sequence[int]) -> tuple[int, ...]:
        self.check()
        self.calls.append(("disarm", list(slots)))
        return self.gone

    def set_policy(self, policy: Policy) -> None:
        self.calls.append(policy)

    def drain(self) -> Drained:
        with self.lock:
            return self.waiting.pop(0) if self.waiting else Drained()

    def read_cpu(self) -> CpuRegisters:
        self.check()
        self.ticks += 250
        return CpuRegisters((0,) * 31, *[0] * 18, ticks=self.ticks)

    def counters(self) -> tuple[VcpuCounters, ...]:
        return (VcpuCounters(*[0] * 15),) * 2

    def read_physical(self, address: int, size: int) -> bytes:
        raise NotImplementedError(address, size)


PROBES = [
    ProbeRequest(slot, 0, 0, 0, Plan.STEP_LINEAR, label) for slot, label in ((1, "one"), (2, "two"))
]


class TestTrace:
    def test_arms_collects_disarms(self) -> None:
        backend = FakeBackend()
        with Trace(backend, PROBES, Policy.DROP) as trace:
            backend.put(hits(5), hits(3, vcpu=1, slot=2), lost=4)
            collected = list(trace)
            late = hits(2, first=5)
            backend.put(late)
        rest = list(trace)
        summary = trace.summary()

        assert backend.calls == [Policy.DROP, ("arm", [1, 2]), ("disarm", [1, 2])]
        assert [(hit.symbol, hit.vcpu) for hit in collected].count(("two", 1)) == 3
        assert len(collected) == 8
        assert [hit.time for hit in collected] == sorted(hit.time for hit in collected)
        assert [hit.sequence for hit in rest] == [5, 6]
        assert summary == Summary({"one": 7, "two": 3}, 4, 0.25, 0, 0)
        assert trace.closed

    def test_a_probe_whose_code_goes(self) -> None:
        """It is disarmed and there is a notice, once; the others stay."""
        backend = FakeBackend()
        going: list[ProbeRequest] = []

        def gone() -> list[ProbeRequest]:
            return [going.pop()] if going else []

        with Trace(backend, PROBES, gone=gone) as trace:
            assert trace.summary().total == 0
            going.append(PROBES[1])
            trace.summary()
            trace.summary()
            before = [call for call in backend.calls if call == ("disarm", [2])]

        assert len(before) == 1
        assert [(type(notice), notice.slot) for notice in trace.notices] == [(ProbeGone, 2)]
        assert trace.summary().ended == {"two": "the module that it was in is gone"}

    def test_code_that_goes_is_noticed_by_who_waits(self) -> None:
        backend = FakeBackend()
        going = [PROBES[0]]
        with Trace(backend, PROBES, gone=lambda: [going.pop()] if going else []) as trace:
            while not trace.notices:
                assert trace.read(0.01) is None

    def test_code_that_goes_is_noticed_at_the_end(self) -> None:
        going = [PROBES[0]]
        with Trace(FakeBackend(), PROBES, gone=lambda: [going.pop()] if going else []) as trace:
            pass

        assert [notice.slot for notice in trace.notices] == [1]

    def test_array_and_read(self) -> None:
        backend = FakeBackend()
        with Trace(backend, PROBES) as trace:
            assert trace.read() is None
            backend.put(hits(3))
            batch = trace.read(timeout=5)
            assert batch is not None
            assert batch.x[:, 1].tolist() == [1, 2, 3]
            backend.put(hits(2, first=3))
            backend.put(hits(2, first=5))
            assert trace.array()["sequence"].tolist() == [3, 4, 5, 6]
            assert len(trace.array()) == 0

    def test_an_error_of_the_backend_reaches_the_reader(self) -> None:
        """After what had been recorded before; and leaving the block adds nothing to it."""
        backend = FakeBackend()

        def use() -> int:
            with Trace(backend, PROBES) as trace:
                backend.put(hits(4))
                seen = len(trace.array())
                backend.error = MonitorError("it stopped")
                while trace.read(0.05) is None:
                    pass
            return seen

        with pytest.raises(MonitorError, match="it stopped"):
            use()

    def test_a_failed_arm_leaves_nothing(self) -> None:
        backend = FakeBackend()
        exclusive = threading.Semaphore()

        def refuse(_: object) -> None:
            raise ProbeError("no")

        backend.arm = refuse  # type: ignore[method-assign]
        with pytest.raises(ProbeError, match="no"), Trace(backend, PROBES, exclusive=exclusive):
            pass

        assert exclusive.acquire(blocking=False)
        assert not any(thread.name == "collector" for thread in threading.enumerate())

    def test_use_without_the_block(self) -> None:
        with pytest.raises(GuestError, match=r"with guest\.trace"):
            Trace(FakeBackend(), PROBES).summary()

    def test_twice(self) -> None:
        trace = Trace(FakeBackend(), PROBES)
        with trace:
            pass
        with pytest.raises(GuestError, match="entered once"), trace:
            pass

    def test_abandoned(self) -> None:
        """The guest goes first: what was recorded stays, nobody is asked anything."""
        backend = FakeBackend()
        trace = Trace(backend, PROBES)
        with trace:
            backend.put(hits(2))
            trace.batches().__next__()
            backend.error = MonitorError("gone")
            trace.abandon()

        assert backend.calls[-1] == ("arm", [1, 2])


class TestFates:
    """What became of the probes is in the summary, whoever says it."""

    def test_told(self) -> None:
        backend = FakeBackend()
        with Trace(backend, PROBES) as trace:
            for old, new in ((1, 2), (2, 1)):
                backend.tell(ProbeChanged(0, 1, 0, 0, old=old, new=new, kept=True))
            assert trace.summary().complete
            backend.tell(ProbeChanged(0, 2, 0, 0, old=0xD503_201F, new=0))
            backend.tell(ProbeChanged(0, 9, 0, 0, old=1, new=0))
            summary = trace.summary()

        assert summary.replanned == {"one": 2}
        assert summary.ended == {
            "two": "the guest overwrote its instruction: 0x00000000 over 0xd503201f"
        }
        assert not summary.complete
        lines = text.format_summary(summary).splitlines()
        assert "one: the guest replaced its instruction 2 times, the probe stayed" in lines
        assert f"two: NO MORE HITS, {summary.ended['two']}" in lines
        content = json.loads(jsonlines.format_summary(summary))["summary"]
        assert (content["replanned"], content["ended"]) == (summary.replanned, summary.ended)
        assert content["complete"] is False

    def test_found_out(self) -> None:
        """A full ring may have dropped the notice."""
        backend = FakeBackend()
        backend.gone = (1,)
        with Trace(backend, PROBES) as trace:
            pass

        assert trace.summary().ended == {"one": "the guest overwrote its instruction"}

    def test_never_armed(self) -> None:
        freed = Refused("three", "it is freed", may_run=False)
        refused = Refused("four", "it cannot be")
        for places, complete in (((freed,), True), ((freed, refused, refused), False)):
            with Trace(FakeBackend(), PROBES, refused=places) as trace:
                summary = trace.summary()
            assert summary.complete is complete
            assert "1 function not probed: it is freed" in text.format_summary(summary)
        assert "2 functions not probed: it cannot be\n" in text.format_summary(summary)
        content = json.loads(jsonlines.format_summary(summary))["summary"]
        assert content["refused"] == {"it is freed": ["three"], "it cannot be": ["four", "four"]}

    def test_many(self) -> None:
        summary = Summary({}, 0, 0, 0, 0, ended={str(n): "why" for n in range(40)})
        lines = text.format_summary(summary).splitlines()
        assert lines[-1] == "... and 10 more of these"
        assert len(lines) == 32

    def test_lost(self) -> None:
        assert not Summary({}, 1, 0, 0, 0).complete


class TestSpool:
    def test_order_through_memory_and_file(self) -> None:
        """Whatever the mix of memory and file, first in is first out."""
        random = np.random.default_rng(1)
        spool = Spool(HIT_DTYPE, memory_limit=4000)
        sent, got = 0, []
        for _ in range(400):
            count = int(random.integers(1, 30))
            spool.put(hits(count, first=sent))
            sent += count
            for _ in range(int(random.integers(0, 3))):
                part = spool.get()
                got += [] if part is None else part["sequence"].tolist()
        while (part := spool.get()) is not None:
            got += part["sequence"].tolist()

        assert got == list(range(sent))
        assert spool.get() is None

    def test_memory_is_bounded(self) -> None:
        spool = Spool(HIT_DTYPE, memory_limit=10_000)
        for i in range(100):
            spool.put(hits(100, first=100 * i))

        assert sum(part.nbytes for part in spool._waiting) <= 10_000 + 8000
        assert not spool.full

    def test_full_file(self) -> None:
        spool = Spool(HIT_DTYPE, memory_limit=1, file_limit=8000)
        spool.put(hits(1))
        assert not spool.full
        spool.put(hits(100))
        assert spool.full

        while spool.get() is not None:
            pass
        assert not spool.full

    def test_many_threads_worth_of_traffic(self) -> None:
        spool = Spool(HIT_DTYPE, memory_limit=5000)
        total = 20_000

        def write() -> None:
            for first in range(0, total, 50):
                spool.put(hits(50, first=first))

        writer = threading.Thread(target=write)
        writer.start()
        got: list[int] = []
        deadline = time.monotonic() + 30
        while len(got) < total and time.monotonic() < deadline:
            part = spool.get()
            got += [] if part is None else part["sequence"].tolist()
        writer.join()

        assert got == list(range(total))


class TestViews:
    BATCH = Batch(hits(2, slot=2, vcpu=1), 500, 1000, {2: "two+0x4"})

    def test_text(self) -> None:
        assert text.format_batch(self.BATCH) == (
            "  0.500000    1  two+0x4 x0=0x0 x1=0x1 x2=0x2 x3=0x3 x4=0x4 x5=0x5\n"
            "  0.510000    1  two+0x4 x0=0x1 x1=0x2 x2=0x3 x3=0x4 x4=0x5 x5=0x6\n"
        )
        assert [str(hit) for hit in self.BATCH] == text.format_batch(self.BATCH).splitlines()

    def test_json(self) -> None:
        first, second = map(json.loads, jsonlines.format_batch(self.BATCH).splitlines())

        assert first == {
            "time": 0.5,
            "vcpu": 1,
            "sequence": 0,
            "symbol": "two+0x4",
            "pc": "0xffff800080001000",
            "x": ["0x0", "0x1", "0x2", "0x3", "0x4", "0x5"],
        }
        assert second["sequence"] == 1

    def test_largest_values(self) -> None:
        records = hits(1)
        records["x"] = 2**64 - 1
        batch = Batch(records, 500, 1000, {1: "one"})

        assert text.format_batch(batch).endswith("x5=0xffffffffffffffff\n")
        assert set(json.loads(jsonlines.format_batch(batch))["x"]) == {"0xffffffffffffffff"}

    def test_summaries(self) -> None:
        summary = Summary({"vfs_read": 20_000, "x": 1}, 3, 1.25, 0, 0)

        assert text.format_summary(summary) == (
            "vfs_read  20,000 hits\n"
            "x         1 hit\n"
            "20,001 hits, 3 lost, 1.250 s of guest run time\n"
        )
        assert json.loads(jsonlines.format_summary(summary))["summary"]["total"] == 20_001
        assert "WARNING" in text.format_summary(Summary({}, 0, 0.0, 1, 0))

    def test_what_was_not_in_memory(self) -> None:
        """No value, half a text, and an empty text are three things."""
        values = tuple(CapturedValue(name, ValueKind.TEXT, 8) for name in "abc")
        layout = CaptureLayout((*values, CapturedValue("d", ValueKind.UNSIGNED)))
        records = np.zeros(1, layout.dtype)
        records["slot"], records["v1"], records["faults"] = 1, b"half", 0b1011
        batch = Batch(records, 0, 1000, {1: "one"}, layout)

        assert text.format_batch(batch).endswith("one a=? b='half'... c='' d=?\n")
        line = json.loads(jsonlines.format_batch(batch))
        assert line["values"] == {"a": None, "b": "half", "c": "", "d": None}
        assert line["missing"] == ["a", "b", "d"]
        assert HitFormat(layout).missing(np.repeat(records, 3)).tolist() == [3, 3, 0, 3]

    def test_a_summary_of_what_was_not_in_memory(self) -> None:
        summary = Summary({"one": 3}, 0, 1.0, 0, 0, missing={"str(x1)": 2})

        assert "\nstr(x1) was not in memory at 2 hits: " in text.format_summary(summary)
        assert json.loads(jsonlines.format_summary(summary))["summary"]["missing"] == {"str(x1)": 2}

    def test_a_million_hits_take_seconds(self) -> None:
        """The views are not what limits a trace."""
        batch = Batch(hits(100_000), 500, 1000, {1: "one"})
        start = time.process_time()  # of this process: others may have the processors
        text.format_batch(batch)
        jsonlines.format_batch(batch)

        assert time.process_time() - start < 3


class TestShell:
    """Against a real shell, behind a console that does not echo, or one that does."""

    @pytest.fixture
    def shell(self) -> Iterator[Shell]:
        import socket  # noqa: PLC0415

        ours, theirs = socket.socketpair()
        with (
            theirs,
            subprocess.Popen(["sh"], stdin=theirs, stdout=theirs, stderr=theirs) as process,
        ):
            console = Console(ours)
            yield Shell(console, lambda: None)
            console.close()
            process.kill()

    def test_commands(self, shell: Shell) -> None:
        done = shell.run("echo one; echo two >&2; exit 7", 10)

        assert (done.command, done.exit_code) == ("echo one; echo two >&2; exit 7", 7)
        assert done.output == "one\ntwo\n"
        assert shell.run("printf '%s' \"it's\"", 10).output == "it's"
        assert shell.run("true", 10).output == ""
        assert shell.run("echo a\necho b", 10).output == "a\nb\n"
        assert shell.run("(", 10).exit_code == 2

    def test_time_out(self, shell: Shell) -> None:
        with pytest.raises(GuestError, match=r"`sleep 0\.4` did not end within 0\.1 s"):
            shell.run("sleep 0.4", 0.1)
        assert shell.run("echo next", 10).output == "next\n"

    @pytest.mark.parametrize("command", ["x" * 4000, "a\0b"])
    def test_what_cannot_be_typed(self, shell: Shell, command: str) -> None:
        with pytest.raises(InputError):
            shell.run(command, 10)

    def test_more_than_the_console_keeps(self, shell: Shell) -> None:
        with pytest.raises(GuestError, match="send it to a file"):
            shell.run("head -c 2000000 /dev/zero | tr '\\0' x", 20)
        assert shell.run("echo fine", 10).output == "fine\n"

    def test_nobody_answers(self) -> None:
        import socket  # noqa: PLC0415

        ours, theirs = socket.socketpair()
        console = Console(ours)
        with theirs:
            with pytest.raises(GuestError, match=r"no shell answered .* within 0\.05 s"):
                Shell(console, lambda: None).run("true", 0.05)
            console.close()
