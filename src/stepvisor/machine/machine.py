"""One virtual machine: process, memory and console, from stopped to ended.

::

    PAUSED --resume()--> RUNNING --close(), or QEMU ends--> ENDED
       +-------------------close()-----------------------------^
"""

import enum
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from stepvisor._gen import wire
from stepvisor.errors import GuestConfigError, MachineError
from stepvisor.machine.config import DEFAULT_CPU, MachineConfig
from stepvisor.machine.console import Console
from stepvisor.machine.devicetree import find_tree, read_board
from stepvisor.machine.process import BoundProcess
from stepvisor.machine.qemu import find_qemu, qemu_argv, qemu_version
from stepvisor.machine.qmp import Qmp
from stepvisor.machine.ram import GuestRam

__all__ = ("Machine", "MachineState")

_RAM_BASE = 0x4000_0000
"""Start of RAM on QEMU's virt board; checked against its device tree."""


class MachineState(enum.Enum):
    """Where a machine is in its life."""

    PAUSED = "paused"
    RUNNING = "running"
    ENDED = "ended"


class Machine:
    """A machine whose first instruction has not run yet, until :meth:`resume`.

    Use it as a context manager: process, memory and sockets are gone when it closes.
    """

    def __init__(
        self,
        config: MachineConfig,
        image: Path,
        echo: Callable[[bytes], None] | None = None,
    ) -> None:
        """Start QEMU, stopped, with `image` (an arm64 Image: the monitor) as its kernel.

        `echo` gets the console's text as it comes, from another thread.

        :raise SetupError: When QEMU is missing or too old.
        :raise GuestConfigError: When QEMU refuses the CPU model or the memory.
        :raise MachineError: When QEMU does not start for another reason.
        """
        program = find_qemu()
        self.qemu_version = qemu_version(program)
        self.config = config
        self.ram = GuestRam(_RAM_BASE, config.ram_size)
        self._closing = threading.Lock()
        self._running = False
        self._process: BoundProcess | None = None
        self._qmp: Qmp | None = None
        self.console: Console
        try:
            self._launch(program, image, echo)
            self.tree = find_tree(self.ram)
            self.board = read_board(self.tree)
            self._check_loaded()
        except BaseException:
            self.close()
            raise

    @property
    def state(self) -> MachineState:
        """Where it is now."""
        if self._process is None or self._process.ended:
            return MachineState.ENDED
        return MachineState.RUNNING if self._running else MachineState.PAUSED

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid if self._process is not None else 0

    @property
    def guest_memory(self) -> tuple[int, int]:
        """Physical start and size in bytes of what the guest sees of RAM."""
        return self.ram.base + wire.REGION_SIZE, self.ram.size - wire.REGION_SIZE

    def resume(self) -> None:
        """Let the machine run: PAUSED to RUNNING.

        :raise MachineError: When it is in another state, or QEMU does not obey.
        """
        if self.state is not MachineState.PAUSED or self._qmp is None:
            message = f"a machine that is {self.state.value} cannot be started"
            raise MachineError(message)
        self._qmp.command("cont")
        self._running = True

    def check_alive(self) -> None:
        """Nothing while QEMU runs.

        :raise MachineError: When it has ended; with exit code, command line and last words.
        """
        if self.state is MachineState.ENDED:
            raise self._ended_error()

    def wait_ended(self, timeout: float | None) -> bool:
        """Wait until QEMU has ended, as at a guest's power-off; False after `timeout` seconds."""
        return self._process is None or self._process.wait(timeout)

    def close(self) -> None:
        """End QEMU and free everything. Idempotent, callable from any thread."""
        with self._closing:
            if self._process is not None:
                self._process.close()
            if self._qmp is not None:
                self._qmp.close()
            if hasattr(self, "console"):
                self.console.close()
            self.ram.close()

    def __enter__(self) -> Self:
        """Closed on exit."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()

    def _launch(self, program: Path, image: Path, echo: Callable[[bytes], None] | None) -> None:
        qmp_ours, qmp_theirs = socket.socketpair()
        console_ours, console_theirs = socket.socketpair()
        self._qmp = Qmp(qmp_ours)
        self.console = Console(console_ours, echo)
        with qmp_theirs, console_theirs:
            descriptors = (self.ram.fd, qmp_theirs.fileno(), console_theirs.fileno())
            argv = qemu_argv(
                program,
                self.config,
                image=image,
                ram_fd=descriptors[0],
                qmp_fd=descriptors[1],
                console_fd=descriptors[2],
            )
            self._process = BoundProcess(argv, descriptors)
        try:
            self._qmp.connect()
        except MachineError as error:
            self._process.wait(2)
            raise self._start_error() from error

    def _check_loaded(self) -> None:
        """RAM is where we think, the monitor where it was linked for (with 64-bit CPUs only)."""
        if (self.board.ram_base, self.board.ram_size) != (self.ram.base, self.ram.size):
            message = f"QEMU put RAM at 0x{self.board.ram_base:x}, not at 0x{_RAM_BASE:x}"
            raise MachineError(message)
        header = self.ram.read(self.ram.base + wire.IMAGE_OFFSET, 64)
        if header[0x38:0x3C] != b"ARM\x64":
            message = f"--cpu {self.config.cpu} is not a 64-bit CPU model; try {DEFAULT_CPU}"
            raise GuestConfigError(message)

    def _start_error(self) -> MachineError | GuestConfigError:
        words = self._process.last_words() if self._process is not None else ""
        if "cpu" in words.lower():
            message = f"QEMU does not take --cpu {self.config.cpu}: {words}"
            return GuestConfigError(message)
        if "memory" in words.lower():
            message = f"QEMU cannot have {self.config.ram_size >> 20} MiB of memory: {words}"
            return GuestConfigError(message)
        return self._ended_error()

    def _ended_error(self) -> MachineError:
        process = self._process
        if process is None:
            return MachineError("QEMU was not started")
        code = process.exit_code
        words = process.last_words() or "nothing"
        guest = self.console.tail() or "nothing"
        message = (
            f"QEMU ended with exit code {code}; it said: {words}; the guest's last words: {guest}"
        )
        return MachineError(message, argv=process.argv, process_exit_code=code)
