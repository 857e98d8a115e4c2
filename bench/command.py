"""What a command of the benchmarks does with an error and with Ctrl-C: one line, an exit code."""

import sys
from collections.abc import Callable

from stepvisor.errors import StepvisorError

__all__ = ("run_command",)

_INTERRUPTED = 130


def run_command(command: Callable[[], int]) -> int:
    """Run it; returns its exit code, or that of what ended it."""
    try:
        return command()
    except StepvisorError as error:
        sys.stderr.write(f"bench: error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
