"""Commands to the monitor: one at a time, answered by whichever vCPU looks first."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import MonitorError
from stepvisor.monitor.barrier import barrier

__all__ = ("Mailbox", "RefusedError")

_SPIN_SECONDS = 0.0005
_TIMEOUT = 5.0


class RefusedError(MonitorError):
    """The monitor answered a command with an error."""

    def __init__(self, command: wire.Command, status: int, failed_index: int) -> None:
        name = wire.Status(status).name if status in set(wire.Status) else str(status)
        super().__init__(f"the monitor refused {command.name}: {name} (entry {failed_index})")
        self.command = command
        self.status = status
        self.failed_index = failed_index


class Mailbox:
    """Safe to use from several threads."""

    def __init__(
        self,
        control: NDArray[np.void],
        bulk: NDArray[np.uint8],
        check: Callable[[], None],
        timeout: float = _TIMEOUT,
    ) -> None:
        """`check` raises when the monitor is gone, so that nobody waits for the dead."""
        self._control = control
        self._bulk = bulk
        self._check = check
        self._timeout = timeout
        self._lock = threading.Lock()

    def command(
        self,
        command: wire.Command,
        arguments: Sequence[int] = (),
        bulk: NDArray[np.void] | None = None,
    ) -> NDArray[np.uint64]:
        """Run one command; returns a copy of its results.

        :raise RefusedError: When the monitor answers with an error.
        :raise MonitorError: When it does not answer.
        """
        with self._lock:
            return self._exchange(command, arguments, bulk)

    def _exchange(
        self,
        command: wire.Command,
        arguments: Sequence[int],
        bulk: NDArray[np.void] | None,
    ) -> NDArray[np.uint64]:
        control = self._control
        control["arguments"][0] = 0
        control["arguments"][0, : len(arguments)] = arguments
        control["count"][0] = 0 if bulk is None else len(bulk)
        if bulk is not None:
            data = bulk.view(np.uint8)
            if len(data) > len(self._bulk):
                message = f"{len(bulk)} entries are too many for one command"
                raise MonitorError(message)
            self._bulk[: len(data)] = data
        control["opcode"][0] = command
        sequence = int(control["request"][0]) + 1
        barrier()
        control["request"][0] = sequence
        self._wait(command, sequence)
        barrier()
        status = int(control["status"][0])
        if status != wire.Status.OK:
            raise RefusedError(command, status, int(control["failed_index"][0]))
        return np.array(control["results"][0])

    def _wait(self, command: wire.Command, sequence: int) -> None:
        answer = self._control["answer"]
        deadline = time.monotonic() + self._timeout
        while int(answer[0]) != sequence:
            self._check()
            if time.monotonic() > deadline:
                message = f"the monitor did not answer {command.name} within {self._timeout:g} s"
                raise MonitorError(message)
            time.sleep(_SPIN_SECONDS)
