"""QMP, QEMU's control protocol, as far as a machine needs it.

Synchronous: one command, one answer. Source: QEMU documentation, "QEMU Machine Protocol
Specification". The transport is a socket pair inherited by QEMU, so no path exists on disk.
"""

import json
import socket
import time
from typing import Any

from stepvisor.errors import MachineError

__all__ = ("Qmp",)

_LONGEST_LINE = 1 << 20


class Qmp:
    """The client's end.

    Every method raises :class:`MachineError` when QEMU refuses, hangs up, or answers too late.
    """

    def __init__(self, sock: socket.socket, timeout: float = 10.0) -> None:
        """Own `sock`; each exchange may take `timeout` seconds."""
        self._socket = sock
        self._timeout = timeout
        self._buffer = bytearray()
        self._sequence = 0
        self.version: tuple[int, int, int] = (0, 0, 0)

    def connect(self) -> None:
        """Read the greeting, leave capability negotiation; sets :attr:`version`."""
        greeting = self._message(time.monotonic() + self._timeout)
        try:
            qemu = greeting["QMP"]["version"]["qemu"]
            self.version = (int(qemu["major"]), int(qemu["minor"]), int(qemu["micro"]))
        except (KeyError, TypeError, ValueError) as error:
            message = f"QEMU greeted with something that is not QMP: {greeting!r:.200}"
            raise MachineError(message) from error
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: object) -> object:
        """Run QMP command `name`; returns its ``return`` value."""
        self._sequence += 1
        request = {"execute": name, "id": self._sequence, "arguments": arguments}
        deadline = time.monotonic() + self._timeout
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            message = f"QEMU hung up before it could be told `{name}`"
            raise MachineError(message) from error
        while True:
            answer = self._message(deadline)
            if answer.get("id") != self._sequence:
                continue  # an event
            if "error" in answer:
                message = f"QEMU refused `{name}`: {answer['error']!r:.300}"
                raise MachineError(message)
            return answer.get("return")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _message(self, deadline: float) -> dict[str, Any]:
        line = self._line(deadline)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            text = f"QEMU sent something that is not JSON: {line[:100]!r}"
            raise MachineError(text) from error
        if not isinstance(message, dict):
            text = f"QEMU sent something that is not a QMP message: {line[:100]!r}"
            raise MachineError(text)
        return message

    def _line(self, deadline: float) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            self._buffer += self._receive(deadline)
            if len(self._buffer) > _LONGEST_LINE:
                message = "QEMU sent an endless QMP message"
                raise MachineError(message)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _receive(self, deadline: float) -> bytes:
        message = f"QEMU did not answer on QMP within {self._timeout:g} s"
        left = deadline - time.monotonic()
        if left <= 0:  # it speaks all the time, and says something else
            raise MachineError(message)
        try:
            self._socket.settimeout(left)
            data = self._socket.recv(65536)
        except TimeoutError as error:
            raise MachineError(message) from error
        except OSError as error:
            message = "the QMP connection to QEMU broke"
            raise MachineError(message) from error
        if not data:
            message = "QEMU hung up"
            raise MachineError(message)
        return data
