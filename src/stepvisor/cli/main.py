"""``stepvisor``: find the subcommand, run it, turn errors into one line and an exit code.

Exit codes: 0 done, 1 something failed, 2 the input cannot work, 3 ended before all that was asked
for could be seen, or hits may be missing (the summary says why), 130 Ctrl-C, 143 SIGTERM, 141
nobody reads our output any more.
"""

import argparse
import importlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from stepvisor.cli.exit_codes import BROKEN_PIPE, INTERRUPTED, TERMINATED
from stepvisor.cli.output import protected
from stepvisor.errors import StepvisorError

__all__ = ("main",)

_COMMANDS = (
    "trace",
    "step",
    "plan",
    "boot",
    "symbols",
    "guest",
    "doctor",
    "selftest",
    "conformance",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's); returns the exit code."""
    with protected():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    try:
        args = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except StepvisorError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        signal.signal(signal.SIGTERM, previous)
    return code


class _Parser(argparse.ArgumentParser):
    """Complains in one line, like everything else here."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"stepvisor: error: {message}; see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="stepvisor", description="Trace AArch64 guests from the hypervisor.")
    version = importlib.metadata.version("stepvisor")
    parser.add_argument("--version", action="version", version=f"stepvisor {version}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in _COMMANDS:
        importlib.import_module(f"stepvisor.cli.{name}").register(commands)
    return parser


def _complain(error: StepvisorError) -> None:
    text = " ".join(str(error).split())
    sys.stdout.flush()
    print(f"stepvisor: error: {text}", file=sys.stderr)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds the stack, so that every context manager cleans up."""
    raise SystemExit(TERMINATED)
