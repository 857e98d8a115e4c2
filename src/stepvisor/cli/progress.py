"""Telling the user what takes time, apart from the output."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress

from stepvisor.cli.output import terminal

__all__ = ("bar", "say")


def say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(f"stepvisor: {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while the block lasts, if that is a terminal.

    Yields a function that takes how many are done, and of how many.
    """
    console = Console(file=terminal(sys.stderr))
    with Progress(
        console=console,
        transient=True,
        disable=not console.is_terminal,
        # What is printed meanwhile goes its own way, which is the one that is safe.
        redirect_stdout=False,
        redirect_stderr=False,
    ) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
