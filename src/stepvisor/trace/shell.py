"""Run commands in the guest through a shell on its console.

Nothing is installed in the guest: the command's output is found between two lines that carry a
number nobody else can print. The typed line holds that number in pieces, so that a console that
echoes what is typed does not print it either.
"""

import re
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from stepvisor.errors import GuestError, InputError
from stepvisor.machine.console import Console

__all__ = ("Completed", "Shell")

_LONGEST = 3000
"""Bytes typed at once: a terminal buffers 4095."""

_LONGEST_END = 64
"""Bytes that the line at the end of a command has at most."""

_PROBE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has run."""

    command: str
    exit_code: int
    output: str
    """What it printed, stdout and stderr together."""


class Shell:
    """A shell that reads the console."""

    def __init__(
        self, console: Console, alive: Callable[[], None], ready_line: str | None = None
    ) -> None:
        """`ready_line` is what the guest prints when its shell reads commands; None: unknown guest.

        `alive` raises when the guest is gone.
        """
        self._console = console
        self._alive = alive
        self._ready_line = ready_line
        self._ready = False

    def wait_ready(self, timeout: float) -> None:
        """Wait until the shell takes commands.

        :raise GuestError: When it does not within `timeout` seconds.
        """
        if self._ready:
            return
        if self._ready_line is not None:
            self._console.expect(self._ready_line.encode(), timeout, alive=self._alive)
        else:
            self._wait_echo(timeout)
        self._ready = True

    def run(self, command: str, timeout: float) -> Completed:
        """Run `command` with ``sh -c`` and wait for its end.

        :raise InputError: When it is too long to type.
        :raise GuestError: When it does not end within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        self.wait_ready(timeout)
        nonce = secrets.token_hex(8)
        line = _command_line(command, nonce)
        start = self._console.position
        self._type(line)
        begin = re.compile(_any_newline(f"\n{nonce}-begin\n"))
        end = re.compile(_any_newline(rf"\n{nonce}-end (\d{{1,3}})\n"))
        try:
            match = self._console.expect(
                end, deadline - time.monotonic(), start, self._alive, _LONGEST_END
            )
        except GuestError as error:
            message = f"`{command}` did not end within {timeout:g} s in the guest: {error}"
            raise GuestError(message) from error
        said = self._console.text(start)
        first = begin.search(said)
        last = end.search(said, first.end() - 1) if first else None
        if first is None or last is None:
            message = f"`{command}` printed more than the console keeps; send it to a file instead"
            raise GuestError(message)
        text = said[first.end() : last.start()].decode(errors="replace").replace("\r\n", "\n")
        return Completed(command=command, exit_code=int(match[1]), output=text)

    def _type(self, line: bytes) -> None:
        try:
            self._console.write(line)
        except GuestError:
            self._alive()  # knows better why nobody listens
            raise

    def _wait_echo(self, timeout: float) -> None:
        """Type until somebody who understands shell answers."""
        deadline = time.monotonic() + timeout
        nonce = secrets.token_hex(8)
        answer = re.compile(_any_newline(rf"\n{nonce}-ready\n"))
        start = self._console.position
        while True:
            self._type(f"\nprintf '\\n%s-%s\\n' {nonce} ready\n".encode())
            left = min(_PROBE_SECONDS, deadline - time.monotonic())
            try:
                self._console.expect(answer, max(left, 0.01), start, self._alive)
            except GuestError:
                self._alive()
                if time.monotonic() < deadline and not self._console.ended:
                    continue
                message = (
                    f"no shell answered on the guest's console within {timeout:g} s;"
                    f" its last words: {self._console.tail()}"
                )
                raise GuestError(message) from None
            return


def _command_line(command: str, nonce: str) -> bytes:
    line = (
        f"printf '\\n%s-%s\\n' {nonce} begin; sh -c {shlex.quote(command)};"
        f" printf '\\n%s-%s %d\\n' {nonce} end $?\n"
    ).encode("utf-8", "surrogateescape")  # bytes of the user's that are no UTF-8 stay what they are
    if len(line) > _LONGEST:
        message = f"the command has {len(command)} characters; at most about {_LONGEST - 200} work"
        raise InputError(message)
    if b"\0" in line:
        message = "the command holds a NUL character"
        raise InputError(message)
    return line


def _any_newline(pattern: str) -> bytes:
    return pattern.replace("\n", r"\n").replace(r"\n", r"\r?\n").encode()
