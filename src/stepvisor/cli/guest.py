"""``stepvisor guest``: the files that a guest boots from."""

import argparse
from pathlib import Path

from stepvisor.cli.arguments import Commands
from stepvisor.cli.progress import say
from stepvisor.errors import ImageError, InputError
from stepvisor.guest import build_initramfs, fetch
from stepvisor.guest.cache import write_atomic
from stepvisor.guest.distribution import DEFAULT_FLAVOUR, DEFAULT_RELEASE, FLAVOURS, RELEASES
from stepvisor.inputs import read_input
from stepvisor.plain import to_json

__all__ = ("register",)

_MAX_FILE = 1 << 30


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("guest", help="get a kernel and initramfs to boot")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _register_fetch(actions)
    _register_initramfs(actions)


def _register_fetch(actions: Commands) -> None:
    parser = actions.add_parser(
        "fetch",
        help="fetch a Debian kernel and busybox for arm64",
        description="Fetch Debian's arm64 kernel and a static busybox into the user's cache, make"
        " an initramfs, and print where they are. Uses this machine's apt in a private directory:"
        " nothing of the system changes. What is in the cache already is not fetched again.",
    )
    parser.add_argument(
        "--release",
        choices=tuple(RELEASES),
        default=DEFAULT_RELEASE,
        help="kernel release, or the newest that Debian has in its backports"
        f" (default: {DEFAULT_RELEASE})",
    )
    parser.add_argument(
        "--flavour",
        choices=tuple(FLAVOURS),
        default=DEFAULT_FLAVOUR,
        help="kernel for virtual machines, for all, with full preemption (rt), or with pages of"
        f" 16 KiB (default: {DEFAULT_FLAVOUR})",
    )
    parser.add_argument(
        "--mirror", metavar="URL", help="https:// address of a Debian archive, used instead of apt"
    )
    parser.add_argument(
        "--keyring", type=Path, metavar="FILE", help="Debian's archive keyring, for --mirror"
    )
    parser.add_argument(
        "--trust-mirror",
        action="store_true",
        help="where gpgv or the keyring is missing, rely on the mirror's TLS certificate alone",
    )
    parser.add_argument(
        "--package",
        type=Path,
        action="append",
        default=[],
        metavar="DEB",
        help="a package that you downloaded; give kernel and busybox-static",
    )
    parser.add_argument("--refresh", action="store_true", help="fetch again, for a newer kernel")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_run_fetch)


def _register_initramfs(actions: Commands) -> None:
    parser = actions.add_parser(
        "initramfs",
        help="make an initramfs from a static arm64 busybox",
        description="Make the initramfs that stepvisor boots, with your own busybox or more files.",
    )
    parser.add_argument("busybox", type=Path, metavar="BUSYBOX", help="static arm64 busybox")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="file to write")
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="PATH=FILE",
        help="put FILE into it, executable, as PATH",
    )
    parser.set_defaults(run=_run_initramfs)


def _run_fetch(args: argparse.Namespace) -> int:
    files = fetch(
        args.flavour,
        args.release,
        mirror=args.mirror,
        keyring=args.keyring,
        trust_mirror=args.trust_mirror,
        packages=args.package,
        refresh=args.refresh,
        progress=say,
    )
    shown = {
        "kernel": str(files.kernel),
        "initrd": str(files.initrd),
        "busybox": str(files.busybox),
        "release": files.release,
    }
    if args.json:
        print(to_json(shown))
    else:
        print("\n".join(f"{name + ':':9}{value}" for name, value in shown.items()))
    return 0


def _run_initramfs(args: argparse.Namespace) -> int:
    extra = {}
    for word in args.add:
        path, separator, file = word.partition("=")
        if not path or not separator:
            raise InputError(f"--add {word}: write PATH=FILE")
        extra[path] = read_input(Path(file), "file", _MAX_FILE, ImageError)
    data = build_initramfs(read_input(args.busybox, "busybox", _MAX_FILE, ImageError), extra)
    write_atomic(args.output, data)
    return 0
