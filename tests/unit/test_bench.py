"""The benchmarks' arithmetic, table, JSON and debugger client; not what they measure."""

import io
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from bench.command import run_command
from bench.contention import Contention, share_of_life
from bench.document import write_pages
from bench.gdbstub import GdbClient, debugger_port
from bench.results import TARGETS, Ratio, Results, Series, write_json
from bench.sampling import Sample, interleave
from bench.table import format_number, format_seconds, print_table
from bench.userland import boot_seconds, clocked
from stepvisor.errors import GuestError, MachineError, SetupError
from stepvisor.trace.shell import Completed

RATIO_KEYS = {
    "emulated_hit_vs_bare_smc",
    "emulated_hit_vs_kprobe",
    "emulated_hit_vs_gdbstub",
    "step_vs_bare_step",
    "step_vs_gdbstub_step",
    "idle_boot",
    "idle_dd",
    "idle_cpu",
    "idle_ipi",
    "hit_60000_probes_vs_1",
    "predicate_reject_vs_bare_smc",
}


def some_results() -> Results:
    results = Results()
    for number, key in enumerate(TARGETS):
        results.ratios[key] = Ratio(TARGETS[key] * (2 if number == 3 else 1), 0.5, 3.0)
    hit = Sample((2e-6, 3e-6, 4e-6))
    results.add("traps", "hit", hit, Sample((1.5, 1.4, 1.6)))
    results.add("others", "gdb", None, note="no gdb")
    results.add("traps", "step", Sample((5e-3,)))
    results.add_series(Series("vCPUs", "vCPUs", {"hit": {1: hit, 4: hit}}))
    results.notes.append("a note")
    return results


# Samples.


def test_median_and_quartiles() -> None:
    sample = Sample((5.0, 1.0, 2.0, 4.0, 3.0))

    assert sample.median == 3.0
    assert sample.spread == (2.0, 4.0)
    assert Sample((7.0,)).spread == (7.0, 7.0)


def test_a_ratio_of_samples_is_taken_round_by_round() -> None:
    """A round in which the machine was ten times slower does not show."""
    over, under = Sample((2.0, 20.0, 3.0)), Sample((1.0, 10.0, 2.0))

    assert Ratio.paired(over, under).value == 2.0
    assert Ratio.paired(over, under).low == 1.75
    assert Ratio.of_medians(over, under).value == 1.5
    assert (over - under).values == (1.0, 10.0, 1.0)


def test_rounds_of_different_number_are_not_paired() -> None:
    with pytest.raises(ValueError, match="zip"):
        Ratio.paired(Sample((1.0,)), Sample((1.0, 2.0)))


def test_variants_take_turns_in_both_directions() -> None:
    order: list[str] = []
    ticks: list[int] = []

    def variant(name: str, value: float) -> float:
        order.append(name)
        return value + len(order)

    found = interleave(
        {"a": lambda: variant("a", 0.0), "b": lambda: variant("b", 0.5)},
        3,
        lambda: ticks.append(1),
    )

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert found == {"a": Sample((1.0, 4.0, 5.0)), "b": Sample((2.5, 3.5, 6.5))}
    assert len(ticks) == 6


# Results.


def test_targets_have_the_keys_that_were_asked_for() -> None:
    assert set(TARGETS) == RATIO_KEYS


def test_json_has_every_ratio(tmp_path: Path) -> None:
    path = tmp_path / "build" / "bench.json"
    write_json(path, some_results(), {"date": "2026-11-27"})

    document = json.loads(path.read_text())

    assert set(document["ratios"]) == RATIO_KEYS
    assert all(0 < value < math.inf for value in document["ratios"].values())
    assert document["machine"] == {"date": "2026-11-27"}
    assert document["events"][0]["seconds"]["median"] == 3e-6
    assert document["events"][0]["seconds"]["values"] == [2e-6, 3e-6, 4e-6]
    assert document["series"][0]["seconds"]["hit"]["4"]["median"] == 3e-6


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_ratio_that_is_no_positive_number_is_a_problem(value: float) -> None:
    results = some_results()
    assert results.problems() == []

    results.ratios["idle_dd"] = Ratio(value, 0.0, 0.0)
    del results.ratios["idle_cpu"]

    assert results.problems() == ["idle_cpu", "idle_dd"]


def test_rows_of_a_group_are_together() -> None:
    rows = [event.what for event in some_results().rows()]

    assert rows == ["hit", "step", "gdb", "hit: 1", "hit: 4"]


# The table.


def table_of(results: Results) -> str:
    out = io.StringIO()
    print_table(results, Console(file=out, width=110))
    return out.getvalue()


def line_with(text: str, what: str) -> str:
    return next(line for line in text.splitlines() if what in line)


def test_the_table_names_what_missed_its_target() -> None:
    text = table_of(some_results())

    assert "missed" in line_with(text, "step_vs_bare_step")
    assert text.count("missed") == 1
    assert "1.3" in line_with(text, "emulated_hit_vs_bare_smc")
    assert {word for line in text.splitlines() for word in line.split()} >= RATIO_KEYS


def test_the_table_says_why_something_was_not_measured() -> None:
    text = table_of(some_results())

    assert "no gdb" in line_with(text, "  gdb")
    assert "3 us" in line_with(text, "  hit ")
    assert "x 1.5" in line_with(text, "  hit ")
    assert "* a note" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(6.5e-7, "650 ns"), (1.234e-6, "1.23 us"), (5.8e-3, "5.8 ms"), (2.5, "2.5 s"), (0.0, "0 ns")],
)
def test_seconds_have_a_unit(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.2345, "1.23"), (0.00042, "0.00042"), (3e-6, "3.0e-06"), (12345.6, "12,346"), (-2.0, "-2")],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert format_number(number) == text


# The page.


def test_the_page_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    write_json(path, some_results(), {"date": "2026-11-27", "class": "x86_64, 2 CPUs"})

    write_pages(json.loads(path.read_text()), tmp_path, ["events.svg", "number-of-probes.svg"])

    text = (tmp_path / "results.md").read_text()
    assert text.startswith("# Results of 2026-11-27\n")
    assert "x86_64, 2 CPUs" in text
    assert "| `step_vs_bare_step` | 2.6 | 0.5 to 3 | 1.3 | missed |" in text
    assert "| hit | 3 us | 2.5 us to 3.5 us | x 1.5 |  |" in text
    assert "| gdb | - |  |  | no gdb |" in text
    assert "![number of probes](number-of-probes.svg)" in text


# The guest's words.


class Guest:
    pid = os.getpid()

    def __init__(self, output: str, exit_code: int = 0) -> None:
        self.output = output
        self.exit_code = exit_code

    def run(self, command: str, timeout: float = 60.0) -> Completed:
        assert timeout > 0
        return Completed(command, self.exit_code, self.output)


def test_time_is_read_from_the_guest() -> None:
    assert 0 < clocked(Guest("noise\nbench: nanoseconds 1000000000\n"), "/bin/true") <= 1.0
    assert 0 < boot_seconds("a\r\nbench: user space at 2000000000\r\nb", os.getpid()) <= 2.0


@pytest.mark.parametrize("guest", [Guest(""), Guest("bench: nanoseconds 5\n", 1)])
def test_a_program_that_fails_is_no_measurement(guest: Guest) -> None:
    with pytest.raises(GuestError, match="/bin/false"):
        clocked(guest, "/bin/false")
    with pytest.raises(GuestError, match="user space"):
        boot_seconds("no such line", os.getpid())


# Commands.


def test_an_error_is_one_line_and_ctrl_c_none(capsys: pytest.CaptureFixture[str]) -> None:
    def raises(error: BaseException) -> int:
        raise error

    assert run_command(lambda: 0) == 0
    assert run_command(lambda: raises(SetupError("no compiler"))) == SetupError.exit_code
    assert capsys.readouterr().err == "bench: error: no compiler\n"
    assert run_command(lambda: raises(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


# Contention.


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_thread_that_others_hold_up_is_noticed() -> None:
    """Two processes on one processor: either has to wait for the other."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        contention = Contention(os.getpid())
        spin(1.0)
        assert 0.2 < contention.share() < 0.99
        assert 0 < share_of_life(os.getpid()) < 1
    finally:
        rival.kill()
        rival.wait()
        os.sched_setaffinity(0, before)


def test_a_process_that_is_gone_did_not_wait() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert Contention(child.pid).share() == 0.0
    assert share_of_life(child.pid) == 0.0


# The debugger client.


def request_from(connection: socket.socket) -> bytes:
    """What came up to the end of a packet."""
    data = b""
    while data[-3:-2] != b"#":
        data += connection.recv(1)
    return data


@contextmanager
def port(*answers: bytes) -> Iterator[tuple[Path, list[bytes]]]:
    """A debugger port that answers the first requests with these, as they are."""
    asked: list[bytes] = []
    with debugger_port() as path, socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(1)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for answer in answers:
                    asked.append(request_from(connection))
                    for half in (answer[: len(answer) // 2], answer[len(answer) // 2 :]):
                        connection.sendall(half)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1000):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield path, asked
        thread.join()


HELLO = (b"+$PacketSize=1000#c9", b"+$T05thread:01;#07")


def test_the_client_reads_answers_in_pieces() -> None:
    answers = (*HELLO, b"+$T05thread:01;#07$OK#9a", b"+$0102#c3")
    with port(*answers) as (path, asked), GdbClient(path) as client:
        client.set_breakpoint(0xFFFF_8000_0000_1234)
        assert client.registers() == b"\x01\x02"

    assert b"$Z1,ffff800000001234,4#" in asked[2]
    assert asked[3].endswith(b"$g#67")


def test_the_client_says_what_was_refused() -> None:
    with (
        port(*HELLO, b"+$E22#a9") as (path, _),
        GdbClient(path) as client,
        pytest.raises(MachineError, match=r"E22.*Z1,10,4"),
    ):
        client.set_breakpoint(0x10)


def test_the_client_notices_a_port_that_closes() -> None:
    with (
        port(*HELLO) as (path, _),
        GdbClient(path) as client,
        pytest.raises(MachineError, match="closed"),
    ):
        client.step()
