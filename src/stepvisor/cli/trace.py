"""``stepvisor trace``: boot a guest, probe it, print a line per hit."""

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stepvisor.cli.arguments import Commands, add_guest_arguments, start_guest
from stepvisor.cli.asked import Asked, add_program_arguments, read_asked, say_armed
from stepvisor.cli.command import (
    GuestCommand,
    add_command_arguments,
    may_load_modules,
    set_up,
)
from stepvisor.cli.exit_codes import INCOMPLETE, INTERRUPTED
from stepvisor.cli.progress import bar
from stepvisor.probe.many import is_pattern
from stepvisor.probe.plan import Method
from stepvisor.trace.guest import Guest
from stepvisor.trace.hit import Batch
from stepvisor.trace.trace import Trace
from stepvisor.views import jsonlines, text

__all__ = ("register",)

_POLL_SECONDS = 0.05

_EPILOG = """\
examples:
  stepvisor trace -e vfs_read --run 'dd if=/dev/zero of=/dev/null bs=1 count=20000'
  stepvisor trace -e do_sys_openat2 -e vfs_read --duration 5 --json
  stepvisor trace -e do_sys_openat2 --capture 'str(x1)' --run 'cat /proc/version'
  stepvisor trace -e vfs_read --where 'x2 > 4096' --hist x2 --duration 10
  stepvisor trace -e '*' --count-only --run 'ls -l /'
  stepvisor trace -e dummy:dummy_xmit --setup 'insmod /dummy.ko' --initrd rootfs.cpio.gz
  stepvisor trace -e vfs_read+0x10 --count 10 --kernel Image --initrd rootfs.cpio.gz

exit code 3: it went well, but hits may be missing. The summary says why: the guest overwrote a
probed instruction, a function of a pattern could not be probed, or --drop dropped hits.
"""


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "trace",
        help="boot a guest and print every hit of its probes",
        description="Boot a guest, arm probes when user space runs, print one line per hit: time"
        " since boot, vCPU, symbol, x0 to x5. Ends with --run's command, after --duration or"
        " --count, or at Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-e",
        dest="probes",
        action="append",
        required=True,
        metavar="PROBE",
        help="symbol, symbol+0x10, address, or a pattern such as 'vfs_*' for all functions that"
        " fit; module:symbol or module:pattern in a module; may be repeated",
    )
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--duration", type=_positive_seconds, metavar="S", help="seconds to trace")
    end.add_argument("--count", type=_positive_count, metavar="N", help="hits to print")
    add_command_arguments(parser)
    parser.add_argument(
        "--drop",
        action="store_true",
        help="drop hits when a ring is full (count them as lost) instead of making the guest wait",
    )
    parser.add_argument(
        "--plan",
        choices=[method.value for method in Method],
        help="run displaced instructions by emulation or by a hardware step"
        " (default: emulation where `stepvisor plan` shows it can be)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    add_program_arguments(parser)
    add_guest_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Trace as `args` say."""
    view = jsonlines if args.json else text
    asked = read_asked(args)
    output = _Output(view.format_batch, args.count)
    with start_guest(args) as guest:
        guest.check_probes(*args.probes, modules=may_load_modules(args))
        guest.check_program(asked.where, asked.capture, asked.count, asked.hist)
        set_up(guest, args.setup)
        if args.command is not None:
            guest.wait_ready()
        with _armed(guest, args, asked) as trace:
            if asked.record and not args.json:
                sys.stdout.write(text.HEADER)
            interrupted = _stream(guest, trace, args, output)
        for batch in () if interrupted else trace.batches():
            output.write(batch)
        sys.stdout.write(view.format_tallies(trace.counts(), trace.histograms()))
        summary = trace.summary()
        sys.stdout.write(view.format_summary(summary))
    if interrupted:
        return INTERRUPTED
    return 0 if summary.complete else INCOMPLETE


@contextlib.contextmanager
def _armed(guest: Guest, args: argparse.Namespace, asked: Asked) -> Iterator[Trace]:
    many = any(is_pattern(probe) for probe in args.probes)
    with contextlib.ExitStack() as stack:
        with bar("arming") as progress:
            trace = guest.trace(
                *args.probes,
                policy="drop" if args.drop else "block",
                plan=args.plan,
                where=asked.where,
                capture=asked.capture,
                count=asked.count,
                hist=asked.hist,
                record=asked.record,
                progress=progress if many else None,
            )
            stack.enter_context(trace)
        if many:
            say_armed(trace)
        yield trace


def _stream(guest: Guest, trace: Trace, args: argparse.Namespace, output: "_Output") -> bool:
    """Print hits until the trace is to end; whether Ctrl-C ended it."""
    deadline = time.monotonic() + args.duration if args.duration is not None else math.inf
    try:
        command = GuestCommand(guest, args.command) if args.command is not None else None
        while time.monotonic() < deadline and not output.full:
            if command is not None and command.ended():
                command.report()
                break
            output.write(trace.read(_POLL_SECONDS))
    except KeyboardInterrupt:
        return True
    return False


@dataclass(slots=True)
class _Output:
    """Prints at most `limit` hits."""

    format: Callable[[Batch], str]
    limit: int | None
    printed: int = 0

    @property
    def full(self) -> bool:
        return self.limit is not None and self.printed >= self.limit

    def write(self, batch: Batch | None) -> None:
        if batch is None:
            sys.stdout.flush()
            return
        if self.limit is not None:
            batch = batch.head(self.limit - self.printed)
        self.printed += len(batch)
        sys.stdout.write(self.format(batch))


def _positive_seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of seconds above 0")
    return seconds


def _positive_count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not int(value[:18]):
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of hits above 0")
    return int(value[:18])
