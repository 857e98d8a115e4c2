"""Predicates, captures and counters on a real kernel, from Python and the command line."""

import json

import pytest
from command_line import CommandLine

import stepvisor
from stepvisor.errors import ExpressionError, InputError

pytestmark = pytest.mark.system


def reads(count: int, size: int) -> str:
    return f"dd if=/dev/zero of=/dev/null bs={size} count={count} 2>/dev/null"


def test_where(guest: stepvisor.Guest) -> None:
    """The same records as without a predicate, less those it rejects."""
    with guest.trace("vfs_read", where="100 <= x2 < 5000 and x2 != 4000") as trace:
        for size in (99, 100, 3000, 4000, 4999, 5000):
            guest.run(reads(10, size))
    hits = [hit for hit in trace if hit.regs.x2 in {99, 100, 3000, 4000, 4999, 5000}]

    assert sorted({hit.regs.x2 for hit in hits}) == [100, 3000, 4999]
    assert len(hits) == 30
    assert trace.summary().lost == 0
    assert trace.summary().hits["vfs_read"] >= 30


def test_captured_strings_are_the_names_that_are_opened(guest: stepvisor.Guest) -> None:
    names = [f"/proc/{'n' * length}" for length in (1, 7, 8, 40, 100)]
    with guest.trace("do_sys_openat2", capture=("str(x1, 200)", "s32(x0)", "vcpu")) as trace:
        guest.run("cat /proc/version " + " ".join(names))
    hits = [hit for hit in trace if hit.values["str(x1, 200)"] in {*names, "/proc/version"}]

    assert [hit.values["str(x1, 200)"] for hit in hits] == ["/proc/version", *names]
    assert {hit.values["s32(x0)"] for hit in hits} == {-100}  # AT_FDCWD
    assert [hit.values["vcpu"] for hit in hits] == [hit.vcpu for hit in hits]


def test_a_pointer_chain(guest: stepvisor.Guest) -> None:
    """The name of the current task, by its offset in the task structure."""
    offset = guest._comm_offset()
    text = f"str(current + {offset}, 16)"
    with guest.trace(
        "vfs_read", where="x2 == 777", capture=(text, f"u8[current + {offset}]")
    ) as trace:
        guest.run(reads(5, 777))

    assert [hit.values[text] for hit in trace] == ["dd"] * 5


def test_a_fault_is_none(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read", where="x2 == 778", capture=("[8]", "str(16)", "x2")) as trace:
        guest.run(reads(5, 778))
    hits = list(trace)

    assert [hit.values for hit in hits] == [{"[8]": None, "str(16)": None, "x2": 778}] * 5
    assert [hit.missing for hit in hits] == [("[8]", "str(16)")] * 5
    assert trace.summary().missing == {"[8]": 5, "str(16)": 5}
    assert guest.run("dmesg | grep -ci 'unable to handle'").output.strip() == "0"


def test_columns(guest: stepvisor.Guest) -> None:
    """Whole columns, masked where nothing could be read."""
    with guest.trace("vfs_read", where="x2 == 779", capture=("x2", "[8]", "str(x1)")) as trace:
        guest.run(reads(500, 779))
    (*batches,) = trace.batches()
    column = batches[0].values["x2"]

    assert sum(len(batch) for batch in batches) == 500
    assert set(column.tolist()) == {779}
    assert batches[0].values["[8]"].mask.all()
    assert not column.mask.any()


def test_histogram_and_counts(guest: stepvisor.Guest) -> None:
    asked = {"count": ("x2 == 333",), "hist": ("x2",), "where": "x2 == 333 or x2 == 5000"}
    with guest.trace("vfs_read", "vfs_write", record=False, **asked) as trace:
        guest.run(reads(300, 333))
        guest.run(reads(20, 5000))

    assert trace.array().size == 0
    assert trace.counts()["x2 == 333"] == {"vfs_read": 300, "vfs_write": 300}
    for probe in ("vfs_read", "vfs_write"):
        chart = trace.histograms()["x2"][probe]
        assert [(b.low, b.high, b.count) for b in chart if b.count] == [
            (256, 511, 300),
            (4096, 8191, 20),
        ]
    assert trace.summary().hits == {"vfs_read": 320, "vfs_write": 320}


def test_records_and_counts_at_once(guest: stepvisor.Guest) -> None:
    with guest.trace("vfs_read", where="x2 == 44", hist=("x2",), count=("x2",)) as trace:
        guest.run(reads(100, 44))
    assert len(trace.array()) == 100
    assert trace.histograms()["x2"]["vfs_read"].total == 100
    assert trace.counts() == {"x2": {"vfs_read": 100}}


def test_one_trace_after_the_other(guest: stepvisor.Guest) -> None:
    """Records of another layout are never mixed up, counters start from 0."""
    for round_ in range(20):
        capture = [("x2",), ("x2", "str(x1)"), ("x1", "x2", "x3")][round_ % 3]
        with guest.trace("vfs_read", where="x2 == 55", capture=capture, count=("1",)) as trace:
            guest.run(reads(20, 55))
        assert [hit.values["x2"] for hit in trace] == [55] * 20
        assert trace.counts() == {"1": {"vfs_read": 20}}


def test_errors_come_before_anything_is_armed(guest: stepvisor.Guest) -> None:
    with pytest.raises(ExpressionError, match="column 6"):
        guest.trace("vfs_read", where="x2 > foo")
    with pytest.raises(ExpressionError, match="keeps 128"):
        guest.trace("vfs_*", hist=("x0", "x1", "x2", "x3")).__enter__()
    with guest.trace("vfs_read", capture=("x2",)) as trace:
        guest.run(reads(3, 5))
    with pytest.raises(InputError, match=r"hit\.values"):
        _ = next(iter(trace)).regs


def test_symbols_in_expressions(guest: stepvisor.Guest) -> None:
    """A kernel variable by its name: the same value that the kernel shows."""
    with guest.trace("vfs_read", where="x2 == 66", capture=("jiffies", "u64[jiffies]")) as trace:
        guest.run(reads(10, 66))
    hits = list(trace)
    ticks = [hit.values["u64[jiffies]"] for hit in hits]

    assert {hit.values["jiffies"] for hit in hits} == {
        guest.running_symbols.lookup("jiffies").address
    }
    assert ticks == sorted(ticks)
    assert ticks[0] > 0


def test_command_line(command_line: CommandLine) -> None:
    done = command_line.run(
        *("trace", "-e", "vfs_read", "--where", "x2 == 67", "--capture", "x2, str([x3], 8),[8]"),
        *("--json", "--run", reads(25, 67)),
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["values"]["x2"] for line in lines[:-1]] == ["0x43"] * 25
    assert {line["values"]["[8]"] for line in lines[:-1]} == {None}
    assert lines[-1]["summary"]["total"] == 25


def test_command_line_histogram(command_line: CommandLine) -> None:
    done = command_line.run(
        *("trace", "-e", "vfs_read", "--where", "x2 == 68", "--hist", "x2", "--count-if", "x2 > 9"),
        *("--run", reads(25, 68)),
    )
    assert "vfs_read where x2 > 9: 25 hits" in done.stdout
    assert "64 ..          25  ###" in done.stdout
    assert "25 hits, 0 lost" in done.stdout
    assert "EVENT" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--where", "x2 >"), "column 5: invalid syntax"),
        (("--capture", "str(x1), x2 / 2"), "no division"),
        (("--capture", "x0", "--count-only"), "leave one of them out"),
        (("--hist", "str(x0)"), "captured as a whole"),
    ],
)
def test_command_line_mistakes(
    command_line: CommandLine, arguments: tuple[str, ...], words: str
) -> None:
    done = command_line.run("trace", "-e", "vfs_read", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_counts_of_the_monitors_ways(guest: stepvisor.Guest) -> None:
    """The entry takes the shortest way, a SUB of SP and a signature longer ones, a store a step."""
    places = [f"vfs_read+{4 * n:#x}" for n in range(6)]
    with guest.trace(*places, where="x2 == 3002", record=False) as trace:
        guest.run("dd if=/dev/zero of=/dev/null bs=3002 count=1500 2>/dev/null")

    assert set(trace.summary().hits.values()) == {1500}
    assert len(trace.summary().hits) == len(places)
