"""``stepvisor symbols``: what a kernel Image calls its functions and data."""

import argparse
from pathlib import Path

from stepvisor.cli.arguments import Commands
from stepvisor.cli.progress import say
from stepvisor.errors import SymbolError
from stepvisor.guest import default_guest, load_image
from stepvisor.plain import to_json
from stepvisor.symbols import Symbol, SymbolTable

__all__ = ("register", "run")

_WILDCARDS = frozenset("*?[")


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "symbols",
        help="list a kernel's symbols",
        description="List the symbols of a kernel Image whose name fits PATTERN: address for which"
        " the kernel was linked, type as nm prints it, size in bytes, name.",
    )
    parser.add_argument("pattern", metavar="PATTERN", help="a name, or a pattern such as 'vfs_*'")
    parser.add_argument(
        "--kernel", type=Path, metavar="IMAGE", help="kernel (default: `stepvisor guest fetch`'s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what fits.

    :raise SymbolError: When nothing does, or the kernel has no symbols.
    """
    kernel = args.kernel or default_guest(say).kernel
    table = SymbolTable.from_image(load_image(kernel))
    for symbol in _find(table, args.pattern):
        print(_json(symbol) if args.json else _text(symbol))
    return 0


def _find(table: SymbolTable, pattern: str) -> tuple[Symbol, ...]:
    if _WILDCARDS.isdisjoint(pattern):
        # lookup() raises with similar names, and knows name@2.
        return table.all(pattern) or (table.lookup(pattern),)
    found = table.match(pattern)
    if not found:
        raise SymbolError(f"no symbol of the kernel fits {pattern!r}")
    return found


def _text(symbol: Symbol) -> str:
    return f"{symbol.address:016x} {symbol.type} {symbol.size:8} {symbol.name}"


def _json(symbol: Symbol) -> str:
    # As text: a reader with floating-point numbers only would round the address.
    return to_json(
        {
            "name": symbol.name,
            "address": f"{symbol.address:#x}",
            "size": symbol.size,
            "type": symbol.type,
        }
    )
