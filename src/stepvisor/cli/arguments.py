"""Arguments that several subcommands share: which guest to boot."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from stepvisor.cli.progress import say
from stepvisor.guest.distribution import default_guest
from stepvisor.machine.config import DEFAULT_CPU
from stepvisor.trace.guest import Guest
from stepvisor.trace.session import start

__all__ = ("Commands", "add_guest_arguments", "start_guest")

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - only name
"""What `add_subparsers` returns."""


def add_guest_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --kernel, --initrd, --append, --cpus, --cpu, --memory."""
    group = parser.add_argument_group("guest")
    group.add_argument(
        "--kernel", type=Path, metavar="IMAGE", help="kernel (default: `stepvisor guest fetch`'s)"
    )
    group.add_argument(
        "--initrd", type=Path, metavar="CPIO", help="initramfs (default: a small one of our own)"
    )
    group.add_argument(
        "--append", default="", metavar="WORDS", help="added to the kernel command line"
    )
    group.add_argument("--cpus", type=int, default=2, metavar="N", help="vCPUs (default: 2)")
    group.add_argument(
        "--cpu", default=DEFAULT_CPU, metavar="MODEL", help=f"CPU model (default: {DEFAULT_CPU})"
    )
    group.add_argument("--memory", default="1G", metavar="SIZE", help="guest memory (default: 1G)")


def start_guest(
    args: argparse.Namespace,
    console: Callable[[bytes], None] | None = None,
    extra_words: str = "",
) -> Guest:
    """Start the guest that `args` describe; user space need not run yet."""
    if args.kernel is None or args.initrd is None:
        default_guest(say)
    return start(
        args.kernel,
        initrd=args.initrd,
        append=f"{extra_words} {args.append}".strip(),
        cpus=args.cpus,
        cpu=args.cpu,
        memory=args.memory,
        console=console,
    )
