"""A guest in the same QEMU without the monitor.

By default the board has no EL2: the kernel then runs at EL1, as it does under the monitor, and what
differs is the monitor alone. With `el2` the kernel finds itself at EL2 and stays there (VHE).
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from stepvisor.errors import MachineError
from stepvisor.guest.initramfs import READY_LINE
from stepvisor.machine.config import DEFAULT_CPU
from stepvisor.machine.console import Console
from stepvisor.machine.process import BoundProcess
from stepvisor.machine.qemu import find_qemu
from stepvisor.machine.qmp import Qmp
from stepvisor.trace.load import DEFAULT_BOOTARGS
from stepvisor.trace.shell import Completed, Shell

__all__ = ("NativeMachine",)

_MEMORY = 1024
_READY_SECONDS = 180.0


class NativeMachine:
    """A context manager; QEMU is gone at its end."""

    def __init__(
        self,
        kernel: Path,
        initrd: Path,
        *,
        vcpus: int = 2,
        el2: bool = False,
        append: str = "",
        options: Sequence[str] = (),
    ) -> None:
        """Boot. `options` are further ones of QEMU."""
        board = f"virt,gic-version=3,its=off,virtualization={'on' if el2 else 'off'}"
        qmp_ours, qmp_theirs = socket.socketpair()
        console_ours, console_theirs = socket.socketpair()
        self._qmp = Qmp(qmp_ours)
        self.console = Console(console_ours)
        with qmp_theirs, console_theirs:
            argv = [
                str(find_qemu()),
                *("-M", board, "-cpu", DEFAULT_CPU, "-smp", str(vcpus), "-m", f"{_MEMORY}M"),
                *("-object", f"memory-backend-memfd,id=ram,size={_MEMORY}M,share=on"),
                *("-machine", "memory-backend=ram"),
                *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none"),
                *("-no-reboot", "-chardev", f"socket,id=qmp,fd={qmp_theirs.fileno()}"),
                *("-mon", "chardev=qmp,mode=control"),
                *("-chardev", f"socket,id=console,fd={console_theirs.fileno()}"),
                *("-serial", "chardev:console"),
                *("-kernel", str(kernel), "-initrd", str(initrd)),
                *("-append", f"{DEFAULT_BOOTARGS} {append}".strip(), "-S", *options),
            ]
            self._process = BoundProcess(argv, (qmp_theirs.fileno(), console_theirs.fileno()))
        self._shell = Shell(self.console, self._check, READY_LINE)
        try:
            self._qmp.connect()
            self._qmp.command("cont")
            self._shell.wait_ready(_READY_SECONDS)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._process.pid

    def run(self, command: str, timeout: float = 60.0) -> Completed:
        """Run a shell command in the guest."""
        return self._shell.run(command, timeout)

    def human(self, command: str) -> str:
        """A command of QEMU's monitor for people."""
        return str(self._qmp.command("human-monitor-command", **{"command-line": command}))

    def address(self, symbol: str) -> int:
        """Where the running kernel has `symbol`, as it says itself.

        :raise MachineError: When it has none.
        """
        output = self.run(f"grep -m 1 ' {symbol}$' /proc/kallsyms").output
        address = int(output.split()[0], 16) if output.strip() else 0
        if not address:
            raise MachineError(f"the guest's /proc/kallsyms does not show {symbol}")
        return address

    def close(self) -> None:
        """End QEMU. Idempotent."""
        self._process.close()
        self._qmp.close()
        self.console.close()

    def _check(self) -> None:
        if self._process.ended:
            raise MachineError(f"QEMU ended: {self._process.last_words()}")

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
