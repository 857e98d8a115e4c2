"""A kernel above the floor: an EL2 with a stage 2, and nothing else.

What it costs more than the same kernel without an EL2 is the second stage of translation: no
monitor that has one can do with less.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from bench.guests import build_floor
from stepvisor.guest.image import load_image
from stepvisor.guest.initramfs import READY_LINE
from stepvisor.machine.config import DEFAULT_CPU, MachineConfig
from stepvisor.machine.machine import Machine
from stepvisor.trace.load import load_guest
from stepvisor.trace.shell import Completed, Shell

__all__ = ("FloorGuest",)

_READY_SECONDS = 180.0


class FloorGuest:
    """A context manager; QEMU is gone at its end."""

    def __init__(self, kernel: Path, initrd: Path, *, vcpus: int) -> None:
        """Boot."""
        floor = build_floor()
        self._machine = Machine(MachineConfig(cpu=DEFAULT_CPU, vcpus=vcpus), floor.path)
        self.console = self._machine.console
        self._shell = Shell(self.console, self._machine.check_alive, READY_LINE)
        try:
            parameters = load_guest(
                self._machine, load_image(kernel), initrd.read_bytes(), append=""
            )
            variables = {
                "guest_entry": parameters.guest_entry,
                "guest_argument": parameters.guest_argument,
                "stage2": 1,
                "vectors_wanted": 1,
            }
            for name, number in variables.items():
                self._machine.ram.write(floor.symbols[name], number.to_bytes(8, "little"))
            self._machine.resume()
            self._shell.wait_ready(_READY_SECONDS)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._machine.pid

    def run(self, command: str, timeout: float = 60.0) -> Completed:
        """Run a shell command in the guest."""
        return self._shell.run(command, timeout)

    def close(self) -> None:
        """End QEMU. Idempotent."""
        self._machine.close()

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
