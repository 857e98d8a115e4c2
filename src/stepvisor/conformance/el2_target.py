"""Our own monitor as a target of the suite."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.conformance.target import Interrupts, Place, ProbeCounts, Trap, Way
from stepvisor.errors import MonitorError
from stepvisor.machine.config import MIB, MachineConfig
from stepvisor.machine.machine import Machine
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.emulation import Operation
from stepvisor.monitor.interface import Action, Event, Plan, ProbeRequest, StepOption
from stepvisor.monitor.interface import Trap as MonitorTrap
from stepvisor.monitor.link import BootParameters
from stepvisor.probe.plan import Choice, Method, plan_for

__all__ = ("El2Target",)

_BOOT_SECONDS = 60.0
_HEARTBEAT_MS = 30_000
_MEMORY = 64 * MIB
_BASE = 0x4800_0000
_WITH_TAGS = "max"
"""The model that can have memory with allocation tags; QEMU refuses it to others."""
_FIRST_SLOT = 16
"""Of the probes of cases; those below start and stop stepping."""
_TRAPS = {Trap.CALL: MonitorTrap.SMC, Trap.BREAKPOINT: MonitorTrap.BRK}
_AARCH32_TRAPS = {
    InstructionSet.A32: MonitorTrap.BKPT_A32,
    InstructionSet.T32: MonitorTrap.BKPT_T32,
}
_DOUBTFUL = frozenset(
    {Operation.LOAD, Operation.READ_SP_EL0, Operation.PACIASP, Operation.BRANCH_REGISTER}
)
"""Emulated or stepped, as the state at a hit has it."""


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
        self._hits = np.zeros(0, np.int64)
        self._before = np.zeros(4, np.int64)

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
        """Nothing while monitor and machine are there; empties the rings meanwhile."""
        self._monitor.check()
        self._count_hits()

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
    def probes(self) -> int:
        """The slots that there are, but for those of stepping."""
        return self._monitor.capabilities.probes - _FIRST_SLOT

    def plant(self, places: Sequence[Place]) -> list[Way]:
        """Probes by the plan that a user's probe would get."""
        self._count_hits()
        self._hits = np.zeros(len(places), np.int64)
        self._before = self._probe_counters()
        choices = [_choice(place) for place in places]
        self._monitor.arm(
            [
                _probe(slot, place, choice)
                for slot, (place, choice) in enumerate(
                    zip(places, choices, strict=True), _FIRST_SLOT
                )
            ]
        )
        return [_way(place, choice) for place, choice in zip(places, choices, strict=True)]

    def take_counts(self) -> ProbeCounts:
        """From the records in the rings and the monitor's counters."""
        self._count_hits()
        before, self._before = self._before, self._probe_counters()
        taken, self._hits = self._hits, np.zeros_like(self._hits)
        hits, performed, stepped, wrong = (self._before - before).tolist()
        stepped -= hits - int(taken.sum())  # those where stepping starts and stops
        return ProbeCounts(taken, performed=performed, stepped=stepped, wrong=wrong)

    def remove(self) -> None:
        """Disarm all of them."""
        slots = range(_FIRST_SLOT, _FIRST_SLOT + len(self._hits))
        self._monitor.disarm(list(slots))
        self._hits = np.zeros(0, np.int64)

    @property
    def monitor(self) -> El2Monitor:
        """The monitor itself, for what no other hypervisor has."""
        return self._monitor

    def _probe_counters(self) -> NDArray[np.int64]:
        """Hits; displaced instructions emulated, and stepped; and what must not happen."""
        counters = self._monitor.counters()
        return np.array(
            [
                sum(vcpu.hits for vcpu in counters),
                sum(vcpu.emulated for vcpu in counters),
                sum(vcpu.steps for vcpu in counters),
                sum(vcpu.derailed + vcpu.astray + vcpu.lost for vcpu in counters),
            ],
            np.int64,
        )

    def _count_hits(self) -> None:
        drained = self._monitor.drain()
        if drained.notices:
            message = f"a probe was lost, or a record: {drained.notices[0]}"
            raise MonitorError(message)
        for hits in drained.hits:
            places = hits["slot"].astype(np.int64) - _FIRST_SLOT
            self._hits += np.bincount(places, minlength=len(self._hits))

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
        place = Place(address, address, word, Trap.CALL)
        return replace(_probe(slot, place, plan_for(word, Method.STEP)), action=action)


def _choice(place: Place) -> Choice:
    if place.instruction_set is not InstructionSet.A64:
        return Choice(Plan.STEP_OTHER, "nothing of AArch32 is emulated")
    return plan_for(place.word)


def _probe(slot: int, place: Place, choice: Choice) -> ProbeRequest:
    return ProbeRequest(
        slot=slot,
        va=place.virtual,
        ipa=place.address,
        word=place.word,
        plan=choice.plan,
        label=f"0x{place.virtual:x}",
        trap=_AARCH32_TRAPS.get(place.instruction_set, _TRAPS[place.trap]),
        emulation=choice.emulation,
    )


def _way(place: Place, choice: Choice) -> Way:
    if choice.emulation is None:
        return Way.STEPPED
    sure = place.trap is Trap.CALL and choice.emulation.operation not in _DOUBTFUL
    return Way.PERFORMED if sure else Way.DEPENDS
