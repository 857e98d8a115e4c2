"""Commands that run in the guest: before probes are armed, and while they are."""

import argparse
import sys
import threading
from collections.abc import Sequence

from stepvisor.cli.output import write_console
from stepvisor.errors import GuestError, StepvisorError
from stepvisor.trace.guest import Guest
from stepvisor.trace.shell import Completed

__all__ = ("GuestCommand", "add_command_arguments", "may_load_modules", "set_up")

_SECONDS = 7 * 24 * 3600.0


def add_command_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --setup, --run."""
    parser.add_argument(
        "--setup",
        action="append",
        default=[],
        metavar="CMD",
        help="shell command in the guest before anything is probed, such as"
        " 'insmod /dummy.ko'; may be repeated",
    )
    parser.add_argument("--run", dest="command", metavar="CMD", help="shell command in the guest")


def may_load_modules(args: argparse.Namespace) -> bool:
    """Whether there may be modules when probes are armed: our own initramfs loads none."""
    return bool(args.setup) or args.initrd is not None


def set_up(guest: Guest, commands: Sequence[str]) -> None:
    """Run commands one after the other.

    :raise GuestError: When one fails, with what it said.
    """
    if commands:
        guest.wait_ready()
    for command in commands:
        done = guest.run(command, _SECONDS)
        if done.exit_code:
            said = " ".join(done.output.split()) or "it printed nothing"
            message = (
                f"--setup `{command}` failed in the guest (exit code {done.exit_code}): {said}"
            )
            raise GuestError(message)


class GuestCommand:
    """Begins at construction."""

    def __init__(self, guest: Guest, command: str) -> None:
        """Run `command` with the guest's shell."""
        self._guest = guest
        self._command = command
        self._completed: Completed | None = None
        self._error: StepvisorError | None = None
        self._thread = threading.Thread(target=self._run, name="command", daemon=True)
        self._thread.start()

    def ended(self) -> bool:
        """Whether it is over, one way or the other."""
        return not self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def report(self) -> None:
        """Show what it printed; raise what kept it from running."""
        if self._error is not None:
            raise self._error
        if self._completed is not None:
            sys.stdout.flush()
            write_console(sys.stderr, self._completed.output)
            if self._completed.exit_code:
                print(f"(exit code {self._completed.exit_code} in the guest)", file=sys.stderr)

    def _run(self) -> None:
        try:
            self._completed = self._guest.run(self._command, _SECONDS)
        except StepvisorError as error:
            self._error = error
