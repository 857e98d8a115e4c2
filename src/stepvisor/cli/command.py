"""A command that runs in the guest while this process does something else."""

import sys
import threading

from stepvisor.cli.output import write_console
from stepvisor.errors import StepvisorError
from stepvisor.trace.guest import Guest
from stepvisor.trace.shell import Completed

__all__ = ("GuestCommand",)

_SECONDS = 7 * 24 * 3600.0


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

    @property
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
