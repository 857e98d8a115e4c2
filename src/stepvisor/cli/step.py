"""``stepvisor step``: boot a guest, step one run of a function, print every instruction."""

import argparse
import sys

from stepvisor.analysis.steps import StepCount
from stepvisor.cli.arguments import Commands, add_guest_arguments, start_guest
from stepvisor.cli.command import (
    GuestCommand,
    add_command_arguments,
    may_load_modules,
    set_up,
)
from stepvisor.cli.exit_codes import INCOMPLETE, INTERRUPTED
from stepvisor.errors import GuestError
from stepvisor.symbols.modules import SEPARATOR
from stepvisor.trace.ending import Ending
from stepvisor.trace.guest import Guest
from stepvisor.trace.step_plan import ends_at_place
from stepvisor.trace.stepping import Stepping
from stepvisor.views import stepjson, steptext

__all__ = ("register",)

_EPILOG = """\
examples:
  stepvisor step vfs_read --run 'head -c 1 /dev/zero'
  stepvisor step do_sys_openat2 --task cat --until getname_flags --run 'cat /etc/passwd'
  stepvisor step vfs_read --until 1000 --interrupts --json --run 'dd if=/dev/zero of=/dev/null'
"""


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "step",
        help="boot a guest and single-step one run of a function",
        description="Boot a guest and step the next run of a kernel function instruction by"
        " instruction: address, symbol+offset, disassembly and the registers it changed; calls"
        " indented. Other tasks and, unless asked for, interrupt handlers run freely in between.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "symbol", metavar="SYMBOL", help="symbol, symbol+0x10, module:symbol, or address"
    )
    parser.add_argument(
        "--until",
        default="return",
        metavar="WHERE",
        help="return (the default), a symbol or address, or a number of instructions",
    )
    parser.add_argument("--task", metavar="COMM", help="only a run in the task of this name")
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="SYMBOL",
        help="let this function run freely; may be repeated",
    )
    parser.add_argument("--el0", action="store_true", help="show user code, too")
    parser.add_argument(
        "--interrupts", action="store_true", help="step through interrupt handlers, too"
    )
    add_command_arguments(parser)
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="seconds to wait (default: 60)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    add_guest_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Step as `args` say."""
    view = stepjson if args.json else steptext
    with start_guest(args) as guest:
        place = [args.until] if ends_at_place(args.until) else []
        guest.check_probes(args.symbol, *args.over, *place, modules=may_load_modules(args))
        set_up(guest, args.setup)
        if args.command is not None:
            guest.wait_ready()
        elif place or any(SEPARATOR in name for name in (args.symbol, *args.over)):
            guest.wait_user()
        stepping = _stepping(guest, args)
        count = StepCount()
        try:
            interrupted = _print_steps(guest, stepping, args, count)
        finally:
            if stepping.started or sys.exc_info()[0] is None:
                sys.stdout.write(view.format_summary(count, stepping))
    if interrupted:
        return INTERRUPTED
    return 0 if stepping.finished else INCOMPLETE


def _print_steps(
    guest: Guest, stepping: Stepping, args: argparse.Namespace, count: StepCount
) -> bool:
    """Print every step, then what the command in the guest said; whether Ctrl-C ended it."""
    command: GuestCommand | None = None
    try:
        with stepping:
            if args.command is not None:
                command = GuestCommand(guest, args.command)
                stepping.caused_by(f"`{args.command}`", command.ended)
            _print_all(stepping, count, as_json=args.json)
        if command is not None and stepping.ending is not Ending.GUEST:
            _report(command, args.timeout)
    except KeyboardInterrupt:
        return True
    except GuestError:
        if command is not None and command.ended():
            # What it said may be the reason.
            command.report()
        raise
    return False


def _print_all(stepping: Stepping, count: StepCount, *, as_json: bool) -> None:
    view = stepjson if as_json else steptext
    if not as_json:
        sys.stdout.write(steptext.HEADER)
    for step in count.watch(stepping):
        sys.stdout.write(view.format_step(step))


def _stepping(guest: Guest, args: argparse.Namespace) -> Stepping:
    return guest.step(
        args.symbol,
        args.until,
        el0=args.el0,
        interrupts=args.interrupts,
        task=args.task,
        over=args.over,
        timeout=args.timeout,
    )


def _report(command: GuestCommand, timeout: float) -> None:
    """A command that goes on for longer than anybody wants to wait is not waited for."""
    command.wait(timeout)
    if command.ended():
        command.report()
