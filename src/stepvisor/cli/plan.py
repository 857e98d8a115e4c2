"""``stepvisor plan``: how an instruction under a probe would run, and why."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from stepvisor.arch.disassemble import disassemble
from stepvisor.cli.arguments import Commands, add_guest_arguments, start_guest
from stepvisor.cli.progress import say
from stepvisor.errors import GuestConfigError
from stepvisor.guest.distribution import default_guest
from stepvisor.guest.image import load_image
from stepvisor.plain import to_json
from stepvisor.probe.coverage import Coverage, Explanation, Share, explain, survey
from stepvisor.probe.place import Code
from stepvisor.probe.resolve import resolve
from stepvisor.symbols.modules import Modules
from stepvisor.symbols.table import SymbolTable

__all__ = ("register", "run")

_EPILOG = """\
examples:
  stepvisor plan vfs_read vfs_read+0x8
  stepvisor plan --live vfs_read
  stepvisor plan --stats --kernel Image
"""

_NOT_LIVE = (
    "as in the Image: a kernel patches its code when it boots (ftrace, alternatives);"
    " --live shows what runs"
)

_Source = tuple[Code, SymbolTable, SymbolTable | None, Modules]


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "plan",
        help="show how an instruction under a probe would run",
        description="Show for each PROBE its instruction, and whether the monitor would emulate it"
        " (one trap a hit) or step it in hardware, and why.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "probes", nargs="*", metavar="PROBE", help="symbol, symbol+0x10, or address"
    )
    parser.add_argument(
        "--stats", action="store_true", help="count the plans of all functions and instructions"
    )
    parser.add_argument("--live", action="store_true", help="boot the kernel and look there")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    add_guest_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the plans.

    :raise GuestConfigError: When nothing is asked for.
    """
    if not args.probes and not args.stats:
        message = "name a PROBE whose plan to show, or ask for --stats"
        raise GuestConfigError(message)
    with _code(args) as (code, table, running, modules):
        targets = [resolve(table, text, running, modules) for text in args.probes]
        explanations = [explain(code, target) for target in targets]
        coverage = survey(code, code.words(), table) if args.stats else None
    for explanation in explanations:
        print(_json(explanation) if args.json else _text(explanation))
    if coverage is not None:
        print(_json_coverage(coverage) if args.json else _text_coverage(coverage))
    if not args.live and not args.json:
        print(f"({_NOT_LIVE})")
    return 0


@contextmanager
def _code(
    args: argparse.Namespace,
) -> Iterator[tuple[Code, SymbolTable, SymbolTable | None, Modules]]:
    """The code, the symbols as linked, those of the running kernel and its modules if it runs."""
    if args.live:
        with start_guest(args) as guest:
            yield guest.code, guest.symbols, guest.running_symbols, guest.modules
        return
    image = load_image(args.kernel or default_guest(say).kernel)
    table = SymbolTable.from_image(image)
    base = table.link_base
    yield (
        Code(
            lambda address, size: image.data[address - base : address - base + size],
            virtual_base=base,
            physical_base=base,
            text=range(table.text.start - base, table.text.stop - base),
        ),
        table,
        None,
        Modules(),
    )


def _text(explanation: Explanation) -> str:
    method = explanation.method.value if explanation.method else "refuse"
    instruction = disassemble(explanation.word, explanation.address)
    place = f"{explanation.address:016x} {explanation.label}"
    return f"{place}\n  {instruction}\n  {method}: {explanation.reason}"


def _text_coverage(coverage: Coverage) -> str:
    lines = [
        f"function entries {_share(coverage.entries)}",
        f"all instructions {_share(coverage.instructions)}",
        "not emulated:",
    ]
    lines += [f"{number:12,}  {reason}" for reason, number in coverage.others.items()]
    return "\n".join(lines)


def _share(share: Share) -> str:
    return f"{share.fraction:7.2%} emulated ({share.emulated:,} of {share.total:,})"


def _json(explanation: Explanation) -> str:
    return to_json(
        {
            "probe": explanation.label,
            "address": f"{explanation.address:#x}",
            "word": f"{explanation.word:#010x}",
            "instruction": disassemble(explanation.word, explanation.address),
            "plan": explanation.method.value if explanation.method else None,
            "reason": explanation.reason,
        }
    )


def _json_coverage(coverage: Coverage) -> str:
    shares = {"entries": coverage.entries, "instructions": coverage.instructions}
    counts = {
        name: {"total": share.total, "emulated": share.emulated} for name, share in shares.items()
    }
    return to_json({**counts, "not_emulated": dict(coverage.others)})
