"""What a hypervisor must offer to be tested, and our own as the first that does.

Another one is put under the suite by implementing :class:`Target`: load the guest, read and write
its memory, and step whatever vCPU passes a place until it passes another one.
"""

import enum
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from stepvisor.machine.config import MIB, MachineConfig
from stepvisor.machine.machine import Machine
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.interface import Action, Event, ProbeRequest, StepOption
from stepvisor.monitor.link import BootParameters
from stepvisor.probe.plan import step_plan

__all__ = ("El2Target", "Interrupts", "Target")

_BOOT_SECONDS = 60.0
_HEARTBEAT_MS = 30_000
_MEMORY = 64 * MIB
_BASE = 0x4800_0000
_WITH_TAGS = "max"
"""The model that can have memory with allocation tags; QEMU refuses it to others."""


class Interrupts(enum.Enum):
    """What stepping does when the guest takes an interrupt."""

    STEP = "go on through the handler"
    STEP_ASIDE = "let the handler run freely and go on when it is done"


class Target(Protocol):
    """A guest under the hypervisor that is to be tested. A context manager."""

    def __enter__(self) -> Self:
        """Closed on exit."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""

    def load(self, image: bytes) -> None:
        """Start the image at 0x4800_0000, at EL1."""

    def read(self, address: int, size: int) -> bytes:
        """Guest memory by physical address."""

    def write(self, address: int, data: bytes) -> None:
        """Guest memory by physical address; data only, never what the guest will execute."""

    def check(self) -> None:
        """Raise when the guest or its hypervisor is no longer there, else nothing."""

    def step_between(self, pairs: dict[int, int]) -> None:
        """Whenever a vCPU comes to a key it is stepped from there until it comes to any value."""

    def set_interrupts(self, interrupts: Interrupts) -> None:
        """For what is stepped from now on."""

    def report_calls(self, *, on: bool) -> None:
        """Whether an HVC of the guest is reported (and returns), or undefined."""

    @property
    def stepped(self) -> int:
        """Instructions stepped up to now, over all vCPUs, exclusive sequences counting one each."""


class El2Target:
    """QEMU's virt board with our own monitor at EL2."""

    def __init__(self, cpu: str, vcpus: int = 1, monitor: Path | None = None) -> None:
        """A machine of `vcpus` CPUs of QEMU's model `cpu`; nothing runs yet."""
        tagged = cpu.startswith(_WITH_TAGS)
        config = MachineConfig(cpu=cpu, vcpus=vcpus, memory=_MEMORY, tagged_memory=tagged)
        self._machine = Machine(config, monitor or find_monitor_image())
        try:
            self._monitor = self._connect(vcpus)
        except BaseException:
            self._machine.close()
            raise

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
        self._monitor.close()
        self._machine.close()

    def load(self, image: bytes) -> None:
        """Start the image; returns when the monitor has passed its self-test."""
        self._machine.ram.write(_BASE, image)
        self._machine.resume()
        self._monitor.wait_running(_BOOT_SECONDS)

    def read(self, address: int, size: int) -> bytes:
        """Guest memory."""
        return self._machine.ram.read(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Guest memory."""
        self._machine.ram.write(address, data)

    def check(self) -> None:
        """Nothing while monitor and machine are there."""
        self._monitor.check()

    def step_between(self, pairs: dict[int, int]) -> None:
        """Plant probes that start and stop stepping."""
        places = [(address, Action.STEP_START) for address in pairs]
        places += [(address, Action.STEP_STOP) for address in dict.fromkeys(pairs.values())]
        self._monitor.arm([self._request(slot, *place) for slot, place in enumerate(places, 1)])
        self.set_interrupts(Interrupts.STEP)

    def set_interrupts(self, interrupts: Interrupts) -> None:
        """For what is stepped from now on."""
        options = StepOption.SILENT | StepOption.EL0
        if interrupts is Interrupts.STEP:
            options |= StepOption.INTERRUPTS
        self._monitor.configure_step(options)

    def report_calls(self, *, on: bool) -> None:
        """Events for HVC, without waiting for an answer."""
        wanted: AbstractSet[Event] = {Event.GUEST_REQUEST} if on else set()
        self._monitor.set_events(wanted)

    @property
    def stepped(self) -> int:
        """Instructions stepped up to now."""
        return sum(counters.trace_steps for counters in self._monitor.counters())

    @property
    def monitor(self) -> El2Monitor:
        """The monitor itself, for what no other hypervisor has."""
        return self._monitor

    def _connect(self, vcpus: int) -> El2Monitor:
        board = self._machine.board
        parameters = BootParameters(
            ram_base=board.ram_base,
            ram_size=board.ram_size,
            guest_entry=_BASE,
            guest_argument=0,
            gicd_base=board.gicd_base,
            gicr_base=board.gicr_base,
            uart_base=board.uart_base,
            forbidden_base=board.forbidden_base,
            forbidden_size=board.forbidden_size,
            vcpus=vcpus,
            heartbeat_timeout_ms=_HEARTBEAT_MS,
        )
        return El2Monitor(self._machine.ram, parameters, self._machine.check_alive)

    def _request(self, slot: int, address: int, action: Action) -> ProbeRequest:
        word = int.from_bytes(self._monitor.read_physical(address, 4), "little")
        return ProbeRequest(
            slot=slot,
            va=address,
            ipa=address,
            word=word,
            plan=step_plan(word),
            label=f"0x{address:x}",
            action=action,
        )
