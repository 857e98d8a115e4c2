"""The command line without a guest."""

import argparse
import os
import signal
import subprocess
import sys

import pytest

from stepvisor import errors
from stepvisor.cli import boot
from stepvisor.cli.main import main as run_main

COMMANDS = ("trace", "boot", "symbols", "guest", "doctor")


def register_failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `doctor` raise."""

    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("stepvisor.cli.doctor.run", fail)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.ProbeError("no\nprobe  here"), 2, "stepvisor: error: no probe here\n"),
        (errors.MonitorError("it stopped"), 1, "stepvisor: error: it stopped\n"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(143), 143, ""),
    ],
)
def test_every_end_has_its_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    register_failing(monkeypatch, error)

    assert run_main(["doctor"]) == code
    assert capsys.readouterr() == ("", line)


def test_a_defect_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    register_failing(monkeypatch, ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        run_main(["doctor"])


def test_the_signal_handler_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    register_failing(monkeypatch, errors.GuestError("x"))
    run_main(["doctor"])

    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["trace"],
        ["trace", "-e", "x", "--count", "0"],
        ["trace", "-e", "x", "--count", "1", "--duration", "1"],
        ["trace", "-e", "x", "--duration", "nan"],
        ["trace", "-e", "x", "--cpus", "many"],
        ["boot", "--what"],
    ],
)
def test_wrong_arguments_are_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(argv) == 2
    output, complaint = capsys.readouterr()
    assert output == ""
    assert complaint.startswith("stepvisor: error: ")
    assert complaint.count("\n") == 1


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("stepvisor ")
    for command in COMMANDS:
        assert run_main([command, "--help"]) == 0
        assert f"usage: stepvisor {command}" in capsys.readouterr().out


def test_broken_pipe_is_quiet() -> None:
    """Help goes into a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    script = (
        "import sys; from stepvisor.cli import doctor; from stepvisor.cli.main import main;"
        "doctor.run = lambda args: print('x' * 100000) or 0; sys.exit(main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=write_end, stderr=subprocess.PIPE, check=False
    )
    os.close(write_end)

    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("pieces", "typed", "leaves"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"a\x01xb"], b"a", True),
        ([b"a\x01", b"X"], b"a", True),
        ([b"\x01\x01"], b"\x01", False),
        ([b"\x01", b"\x01", b"x"], b"\x01x", False),
        ([b"\x01c"], b"c", False),
    ],
)
def test_leaving_the_console(pieces: list[bytes], typed: bytes, leaves: bool) -> None:
    """Ctrl-A X, in one piece or two; Ctrl-A Ctrl-A types it."""
    escaped = leave = False
    out = b""
    for piece in pieces:
        data, escaped, leave = boot._keys(piece, escaped=escaped)
        out += data

    assert (out, leave) == (typed, leaves)
