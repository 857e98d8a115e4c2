"""QEMU's debugger port, driven by the smallest client that can be.

Breakpoint, continue until it is hit, read the registers, step over it, and so on. Nothing of gdb is
in the way: what is measured is the port itself. Source: GDB documentation, "GDB Remote Serial
Protocol".
"""

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from stepvisor.errors import MachineError

__all__ = ("GdbClient", "debugger_port")

_SECONDS = 60.0


@contextlib.contextmanager
def debugger_port() -> Iterator[Path]:
    """Where QEMU is to listen, with ``-gdb unix:PATH,server=on,wait=off``."""
    directory = Path(tempfile.mkdtemp(prefix="stepvisor-bench-"))
    try:
        yield directory / "gdb"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class GdbClient:
    """The machine stands still from construction on, until it is told to continue."""

    def __init__(self, path: Path) -> None:
        """Connect."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        self._buffer = bytearray()
        try:
            self._socket.connect(str(path))
            self.ask("qSupported:hwbreak+")
            self.ask("?")
        except BaseException:
            self._socket.close()
            raise

    def set_breakpoint(self, address: int) -> None:
        """A hardware breakpoint, which QEMU keeps without touching memory."""
        self._expect_ok(f"Z1,{address:x},4")

    def remove_breakpoint(self, address: int) -> None:
        """Take it away."""
        self._expect_ok(f"z1,{address:x},4")

    def resume(self) -> None:
        """Continue, and wait until the machine stops again."""
        self.ask("c")

    def step(self) -> None:
        """Step the CPU that stopped; a breakpoint under it does not count."""
        self.ask("s")

    def registers(self) -> bytes:
        """General registers, SP, PC, PSTATE of the CPU that stopped, little-endian."""
        return bytes.fromhex(self.ask("g"))

    def detach(self) -> None:
        """Let the machine run and hang up."""
        self.ask("D")
        self._socket.close()

    def ask(self, request: str) -> str:
        """Send a packet and return the answer's content."""
        checksum = sum(request.encode()) % 256
        self._send(f"${request}#{checksum:02x}".encode())
        return self._packet()

    def _expect_ok(self, request: str) -> None:
        answer = self.ask(request)
        while answer.startswith("T"):  # it stopped because we came
            answer = self._packet()
        if answer != "OK":
            raise MachineError(f"QEMU's debugger port answers {answer!r} to {request}")

    def _packet(self) -> str:
        while (start := self._buffer.find(b"$")) < 0 or not self._complete(start):
            self._buffer += self._receive()
        end = self._buffer.index(b"#", start)
        content = self._buffer[start + 1 : end].decode("latin-1")
        del self._buffer[: end + 3]
        self._send(b"+")
        return content

    def _receive(self) -> bytes:
        try:
            received = self._socket.recv(1 << 16)
        except OSError as error:
            raise MachineError(f"QEMU's debugger port does not answer: {error}") from error
        if not received:
            raise MachineError("QEMU closed its debugger port")
        return received

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise MachineError("QEMU closed its debugger port") from error

    def _complete(self, start: int) -> bool:
        end = self._buffer.find(b"#", start)
        return 0 <= end <= len(self._buffer) - 3

    def __enter__(self) -> Self:
        """Closed on exit."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up, if that has not happened."""
        self._socket.close()
