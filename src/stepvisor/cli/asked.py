"""Arguments that say what is asked of every hit."""

import argparse
from dataclasses import dataclass

from stepvisor.cli.progress import say
from stepvisor.errors import InputError
from stepvisor.probe.many import names_by_reason
from stepvisor.probe.parse import split_list
from stepvisor.trace.trace import Trace

__all__ = ("Asked", "add_program_arguments", "read_asked", "say_armed")

_PAGES_PER_MIB = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """As :meth:`stepvisor.Guest.trace` takes it."""

    where: str | None
    capture: tuple[str, ...]
    count: tuple[str, ...]
    hist: tuple[str, ...]
    record: bool


def add_program_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --where, --capture, --count-only, --count-if, --hist."""
    group = parser.add_argument_group(
        "what is asked of every hit, by the monitor itself",
        "Expressions have registers (x0, w0, sp, pc, current, vcpu), numbers, symbols, memory"
        " (u32[x0 + 8], [x0] for a pointer), Python's operators, casts (s32(x0)) and, to capture,"
        " str(x1).",
    )
    group.add_argument("--where", metavar="EXPR", help="only hits at which EXPR is not 0")
    group.add_argument(
        "--capture",
        action="append",
        default=[],
        metavar="EXPR,...",
        help="what a line shows instead of x0 to x5",
    )
    group.add_argument(
        "--count-only", action="store_true", help="count hits, record and print none of them"
    )
    group.add_argument(
        "--count-if",
        action="append",
        default=[],
        metavar="EXPR",
        help="count the hits at which EXPR is not 0; may be repeated, implies --count-only",
    )
    group.add_argument(
        "--hist",
        action="append",
        default=[],
        metavar="EXPR",
        help="histogram of EXPR in powers of two; may be repeated, implies --count-only",
    )


def read_asked(args: argparse.Namespace) -> Asked:
    """What `args` ask.

    :raise InputError: When they exclude each other.
    """
    capture = tuple(part for text in args.capture for part in split_list(text))
    if capture and args.count_only:
        raise InputError("--capture needs records, --count-only writes none: leave one of them out")
    counts = bool(args.count_only or args.count_if or args.hist)
    return Asked(
        where=args.where,
        capture=capture,
        count=tuple(args.count_if),
        hist=tuple(args.hist),
        record=bool(capture) or not counts,
    )


def say_armed(trace: Trace) -> None:
    """What came of patterns."""
    mib = trace.memory.used / _PAGES_PER_MIB
    say(f"{trace.probes:,} functions probed; copies of their pages take {mib:.1f} MiB")
    for reason, names in names_by_reason(trace.refused).items():
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        say(f"{len(names):,} refused: {reason} ({shown})")
