"""``stepvisor boot``: a guest with its console on this terminal, and no probes."""

import argparse
import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator

from stepvisor.cli.arguments import Commands, add_guest_arguments, start_guest
from stepvisor.cli.output import console_writer
from stepvisor.guest.initramfs import INTERACTIVE_WORD
from stepvisor.trace.guest import Guest

__all__ = ("register",)

_ESCAPE = b"\x01"
_LEAVE = b"xX"
_POLL_SECONDS = 0.2


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "boot",
        help="boot a guest with its console on the terminal",
        description="Boot a guest under the monitor, its console on this terminal, without probes."
        " Ctrl-A X leaves; Ctrl-A Ctrl-A types Ctrl-A. Of what the guest prints, colours and line"
        " editing reach the terminal, and nothing else that would drive it.",
    )
    parser.add_argument(
        "--raw-console",
        action="store_true",
        help="pass on all that the guest prints, as full-screen programs need it: the guest can"
        " then do to your terminal whatever a program on it can",
    )
    add_guest_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Boot as `args` say; ends with the guest, or at Ctrl-A X."""
    interactive = sys.stdin.isatty()
    words = INTERACTIVE_WORD if interactive and args.initrd is None else ""
    with (
        _raw_terminal(interactive),
        _shown(raw=args.raw_console) as show,
        start_guest(args, show, words) as guest,
    ):
        if not interactive and args.initrd is None:
            guest.wait_ready()  # what is typed before is lost
        if not _pass_through(guest, interactive=interactive):
            _check_orderly(guest)
    return 0


@contextlib.contextmanager
def _shown(*, raw: bool) -> Iterator[Callable[[bytes], None]]:
    """What shows the guest's console, to its end."""
    show = console_writer(sys.stdout, raw=raw)
    try:
        yield show
    finally:
        show(b"")


@contextlib.contextmanager
def _raw_terminal(interactive: bool) -> Iterator[None]:
    """Keys go to the guest as they are; restored whatever happens."""
    if not interactive:
        yield
        return
    terminal = sys.stdin.fileno()
    saved = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        # Not TCSADRAIN, which waits for whoever shows the output, perhaps for ever.
        termios.tcsetattr(terminal, termios.TCSANOW, saved)
        print()


def _pass_through(guest: Guest, *, interactive: bool) -> bool:
    """Type what comes on stdin until the guest ends or the user leaves; whether it was the user."""
    keys = sys.stdin.fileno()
    escaped = False
    while not guest.console.ended:
        if not select.select([keys], [], [], _POLL_SECONDS)[0]:
            continue
        data = os.read(keys, 4096)
        if not data:
            guest.wait_ended()
            return False
        if interactive:
            data, escaped, leave = _keys(data, escaped=escaped)
            if leave:
                return True
        guest.console.write(data)
    return False


def _keys(data: bytes, *, escaped: bool) -> tuple[bytes, bool, bool]:
    """What to type, whether Ctrl-A is open, whether to leave."""
    typed = bytearray()
    for value in data:
        key = bytes((value,))
        if escaped and key in {bytes((leave,)) for leave in _LEAVE}:
            return bytes(typed), False, True
        if not escaped and key == _ESCAPE:
            escaped = True
            continue
        escaped = False
        typed += key
    return bytes(typed), escaped, False


def _check_orderly(guest: Guest) -> None:
    """A guest that powered off or rebooted is fine; QEMU ending in another way is not."""
    error = guest.end_error()
    if error is not None and error.process_exit_code != 0:
        raise error
