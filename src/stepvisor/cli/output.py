"""The one way to the user's terminal: nothing that is printed here can drive it.

While `protected` lasts, ``sys.stdout`` and ``sys.stderr`` write out what is not printable, whoever
prints and wherever the text came from, and no character fails for the terminal's encoding.
"""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import Final, TextIO, cast

from stepvisor.cli.console_filter import ConsoleFilter
from stepvisor.plain import plain

__all__ = ("console_writer", "protected", "terminal", "write_console")

_KEPT: Final = "\n\t"


class _Plain(io.TextIOBase):
    """Writes printable text to the stream `below`."""

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str, /) -> int:
        _write(self.below, plain(text, _KEPT))
        return len(text)

    def flush(self) -> None:
        self.below.flush()

    def isatty(self) -> bool:
        return self.below.isatty()

    def fileno(self) -> int:
        return self.below.fileno()

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def protected() -> Iterator[None]:
    """Nothing but printable text leaves this process on stdout and stderr."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _Plain(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def terminal(stream: TextIO) -> TextIO:
    """What is below `stream`, for a library that draws and is given no foreign text."""
    return stream.below if isinstance(stream, _Plain) else stream


def write_console(stream: TextIO, text: str) -> None:
    """Write what a guest printed: colours and moves within the line stay."""
    console = ConsoleFilter()
    _write(terminal(stream), console.feed(text.encode("utf-8", "replace")) + console.finish())


def console_writer(stream: TextIO, *, raw: bool) -> Callable[[bytes], None]:
    """What writes a guest's console to `stream` as it comes; `raw`, as it is, harmful or not.

    No data is the end of it.
    """
    below = terminal(stream)
    console = ConsoleFilter()

    def write(data: bytes) -> None:
        if raw:
            below.buffer.write(data)
        else:
            _write(below, console.feed(data) if data else console.finish())
        below.flush()

    return write


def _write(stream: TextIO, text: str) -> None:
    if not text.isascii():
        encoding = stream.encoding or "ascii"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.write(text)
