"""The command line with a guest."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
from command_line import CommandLine

pytestmark = pytest.mark.system

LINE = re.compile(r" *\d+\.\d{6} +\d+  (\S+)((?: x\d=0x[0-9a-f]+){6})")


def test_text(command_line: CommandLine) -> None:
    """Header, one line per hit, the summary; the command's own output apart."""
    done = command_line.run(
        *("trace", "-e", "vfs_read", "-e", "vfs_write", "--cpus", "1"),
        *("--run", "dd if=/dev/zero of=/dev/null bs=77 count=40; exit 5"),
    )
    header, *lines, reads, writes, total = done.stdout.splitlines()
    found = [LINE.fullmatch(line) for line in lines]

    assert header == "      TIME  CPU  EVENT"
    assert all(found)
    assert [match[1] for match in found if match and " x2=0x4d " in match[2]] == [
        "vfs_read",
        "vfs_write",
    ] * 40
    assert re.fullmatch(r"vfs_read   \d+ hits", reads)
    assert re.fullmatch(r"vfs_write  \d+ hits", writes)
    assert re.fullmatch(rf"{len(lines)} hits, 0 lost, \d+\.\d+ s of guest run time", total)
    assert done.stderr == "40+0 records in\n40+0 records out\n(exit code 5 in the guest)\n"
    assert done.returncode == 0


def test_json(command_line: CommandLine) -> None:
    done = command_line.run(
        *("trace", "-e", "vfs_read", "--json", "--run"),
        "dd if=/dev/zero of=/dev/null bs=1 count=1000 2>/dev/null",
    )
    *hits, last = [json.loads(line) for line in done.stdout.splitlines()]

    assert sum(hit["x"][2] == "0x1" for hit in hits) == 1000
    assert last["summary"]["hits"] == {"vfs_read": len(hits)}
    assert (last["summary"]["lost"], last["summary"]["derailed"]) == (0, 0)


def test_count_and_duration(command_line: CommandLine) -> None:
    """`--count` prints exactly so many; `--duration` ends by itself."""
    counted = command_line.run(
        *("trace", "-e", "vfs_read", "--count", "7", "--run"),
        "dd if=/dev/zero of=/dev/null bs=1 count=5000",
    )
    assert sum(LINE.fullmatch(line) is not None for line in counted.stdout.splitlines()) == 7

    timed = command_line.run("trace", "-e", "vfs_read", "--duration", "0.5")
    assert timed.returncode == 0
    assert timed.stdout.splitlines()[-1].endswith("of guest run time")


def test_doctor(command_line: CommandLine) -> None:
    done = command_line.run("doctor")
    lines = done.stdout.splitlines()

    assert done.returncode == 0
    assert all(line.startswith("ok ") for line in lines)
    assert "self-test" in lines[-1]

    broken = command_line.run("doctor", PATH="/nonexistent")
    assert broken.returncode == 1
    assert "MISSING  QEMU: " in broken.stdout
    assert command_line.wait_gone() == []


def read_until(terminal: int, text: bytes, seconds: float = 60) -> bytes:
    """What a terminal shows up to `text`."""
    shown = b""
    deadline = time.monotonic() + seconds
    while text not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096)
    assert text in shown, shown
    return shown


@pytest.mark.parametrize(("typed", "code"), [(b"\x01x", 0), (b"poweroff -f\r", 0)])
def test_boot_on_a_terminal(command_line: CommandLine, typed: bytes, code: int) -> None:
    """An echo, Ctrl-C for the guest, both ways out, and the terminal as it was."""
    ours, theirs = pty.openpty()
    name, value = command_line.mark.split("=")
    before = subprocess.run(["stty", "-g"], stdin=theirs, capture_output=True, check=True).stdout
    with subprocess.Popen(
        [sys.executable, "-m", "stepvisor", "boot"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, name: value},
    ) as process:
        read_until(ours, b"stepvisor: guest ready")
        os.write(ours, b"sleep 1000\r")
        read_until(ours, b"sleep 1000")
        os.write(ours, b"\x03echo $((6 * 7))\r")
        read_until(ours, b"42")
        os.write(ours, typed)
        assert process.wait(60) == code
    after = subprocess.run(["stty", "-g"], stdin=theirs, capture_output=True, check=True).stdout
    os.close(ours)
    os.close(theirs)

    assert after == before
    assert command_line.wait_gone() == []


def test_boot_from_a_pipe(command_line: CommandLine) -> None:
    """Commands on stdin, output on stdout, ends with the guest."""
    name, value = command_line.mark.split("=")
    done = subprocess.run(
        [sys.executable, "-m", "stepvisor", "boot"],
        input=b"echo $((6 * 7))\npoweroff -f\n",
        capture_output=True,
        env={**os.environ, name: value},
        timeout=60,
        check=False,
    )

    assert b"\n42\n" in done.stdout
    assert (done.returncode, done.stderr) == (0, b"")
    assert command_line.wait_gone() == []
