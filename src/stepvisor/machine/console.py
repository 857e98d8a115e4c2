"""The guest's serial console.

A thread reads all the time, so that QEMU never waits for us; the last megabyte is kept.
Positions count bytes since the start of the console, so that "what came after this point" has a
meaning however much has been dropped since.
"""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable

from stepvisor.errors import GuestError

__all__ = ("Console",)

_KEPT = 1 << 20
_TAIL = 400

_LAST_SECONDS = 2.0
"""For the reader to get to the end of what was said."""


class Console:
    """Text from and to the guest."""

    def __init__(self, sock: socket.socket, echo: Callable[[bytes], None] | None = None) -> None:
        """Own `sock`; call `echo`, from the reader thread, with everything that arrives."""
        self._socket = sock
        self._echo = echo
        self._changed = threading.Condition()
        self._data = bytearray()
        self._dropped = 0
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    @property
    def position(self) -> int:
        """Bytes received since the start."""
        with self._changed:
            return self._dropped + len(self._data)

    @property
    def ended(self) -> bool:
        """Whether the other side is gone."""
        return self._ended

    def text(self, since: int = 0) -> bytes:
        """What came after position `since`, as far as it is kept."""
        with self._changed:
            return bytes(self._data[max(since - self._dropped, 0) :])

    def tail(self) -> str:
        """The last lines, for an error message."""
        text = self.text()[-_TAIL:].decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())

    def write(self, data: bytes) -> None:
        """Type `data`.

        :raise GuestError: When the guest is gone or does not read.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            with self._changed:
                self._changed.wait_for(lambda: self._ended, _LAST_SECONDS)
            message = f"the guest's console is closed; its last words: {self.tail()}"
            raise GuestError(message) from error

    def expect(
        self,
        pattern: bytes | re.Pattern[bytes],
        timeout: float,
        since: int = 0,
        alive: Callable[[], None] | None = None,
        longest: int = 0,
    ) -> re.Match[bytes]:
        """Wait until `pattern` has come after position `since`; bytes are literal.

        `alive` is called a few times a second and raises when waiting has become pointless. What
        was looked through once is not again, when `longest` says how long a match can be.

        :raise GuestError: When it does not come within `timeout` seconds or the guest ends.
        """
        regex = re.compile(re.escape(pattern)) if isinstance(pattern, bytes) else pattern
        longest = len(pattern) if isinstance(pattern, bytes) else longest
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                match = regex.search(bytes(self._data[max(since - self._dropped, 0) :]))
                if match is not None:
                    return match
                if longest:
                    since = max(since, self._dropped + len(self._data) - longest)
                if self._ended:
                    break
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.25))
            if alive is not None:
                alive()
        if self._ended and alive is not None:
            alive()
        what = "ended" if self._ended else f"did not print it within {timeout:g} s"
        message = f"waiting for {regex.pattern!r} on the console: the guest {what}; "
        message += f"its last words: {self.tail()}"
        raise GuestError(message)

    def close(self) -> None:
        """Close the socket and end the thread."""
        with contextlib.suppress(OSError):  # the other side is gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._socket.close()

    def _read(self) -> None:
        while data := self._receive():
            if self._echo is not None:
                self._echo(data)
            with self._changed:
                self._data += data
                excess = len(self._data) - _KEPT
                if excess > 0:
                    del self._data[:excess]
                    self._dropped += excess
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""
