"""Telling the user what takes time, apart from the output."""

import sys

__all__ = ("say",)


def say(line: str) -> None:
    """Print a line of progress to stderr."""
    print(f"stepvisor: {line}", file=sys.stderr, flush=True)
