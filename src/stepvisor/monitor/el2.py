"""Our own EL2 monitor behind the backend interface."""

import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace

import numpy as np

from stepvisor._gen import wire
from stepvisor.errors import GuestConfigError, MonitorError
from stepvisor.machine.ram import GuestRam
from stepvisor.monitor.answers import Answer, AnswerAction, AnswerBoard
from stepvisor.monitor.arming import Arming, Programs
from stepvisor.monitor.events import Drained
from stepvisor.monitor.guest_event import Clock
from stepvisor.monitor.interface import (
    Capabilities,
    Policy,
    PoolUse,
    ProbeRequest,
    Progress,
    VcpuCounters,
)
from stepvisor.monitor.link import BootParameters, Heartbeat, Link
from stepvisor.monitor.mailbox import Mailbox
from stepvisor.monitor.program import Program
from stepvisor.monitor.registers import CpuRegisters
from stepvisor.monitor.ring import RingReader
from stepvisor.monitor.tally import Tallies
from stepvisor.monitor.vocabulary import Event, StepEnd, StepOption, TaskFilter

__all__ = ("El2Monitor", "OwnSteps")

_NAME = np.dtype([("name", np.uint8, 16)])
"""CONFIGURE_STEP's bulk argument: the name of a task."""


@dataclass(frozen=True, slots=True)
class OwnSteps:
    """The monitor stepped a routine of its own."""

    stepped: int
    """What the routine returned while it was stepped."""
    free: int
    """What it returned when it ran freely."""
    steps: int
    trail: tuple[int, ...]
    """Where it was after each step, the first ones: addresses at EL2."""


class El2Monitor:
    """Implements :class:`stepvisor.monitor.interface.Backend`."""

    def __init__(
        self,
        ram: GuestRam,
        parameters: BootParameters,
        machine_alive: Callable[[], None],
        *,
        paused: bool = False,
    ) -> None:
        """Write `parameters` for a machine that has not started, and take up the heartbeat.

        A `paused` guest does not run its first instruction before :meth:`set_paused`.
        """
        if paused:
            parameters = replace(parameters, flags=parameters.flags | wire.Flag.PAUSED)
        self._ram = ram
        self._parameters = parameters
        view = ram.view(parameters.ram_base, wire.POOL_OFFSET)
        region = np.frombuffer(view, dtype=np.uint8)
        vcpus = parameters.vcpus
        control = _part(region, wire.CONTROL_OFFSET, wire.CONTROL, 1)
        index = _part(region, wire.INDEX_OFFSET, wire.RING_INDEX, vcpus)
        bulk = region[wire.COMMANDS_OFFSET : wire.COMMANDS_OFFSET + wire.COMMANDS_SIZE]
        self._status = _part(region, wire.STATUS_OFFSET, wire.VCPU_STATUS, vcpus)
        self._control = control
        self._link = Link(control, machine_alive)
        self._link.prepare(parameters)
        self._mailbox = Mailbox(control, bulk, self._link.check)
        self._arming = Arming(self._mailbox)
        self._programs = Programs(self._mailbox)
        self.tallies = Tallies(region, vcpus)
        """What programs count."""
        self._rings = [
            RingReader(vcpu, _ring(region, vcpu), index[vcpu : vcpu + 1]) for vcpu in range(vcpus)
        ]
        self._answers = AnswerBoard(_part(region, wire.ANSWERS_OFFSET, wire.ANSWER, vcpus))
        self._flags = wire.Flag(parameters.flags)
        self._draining = threading.Lock()
        self._parked_hits = Drained()
        self._parked_events = Drained()
        self._listening = False
        self._heartbeat: Heartbeat | None = Heartbeat(control)

    @property
    def capabilities(self) -> Capabilities:
        """Limits of the monitor."""
        return Capabilities(
            vcpus=self._parameters.vcpus,
            probes=wire.MAX_SLOTS - wire.PRIVATE_SLOTS - 1,
            hit_registers=wire.HIT_REGISTERS,
            policies=frozenset(Policy),
            events=frozenset(Event),
            answers=frozenset(AnswerAction),
            step_options=StepOption(sum(StepOption)),
        )

    @property
    def frequency(self) -> int:
        """Counter ticks per second (CNTFRQ_EL0)."""
        return int(self._control["frequency"][0])

    @property
    def image_base(self) -> int:
        """Address at EL2 of the monitor image's first byte."""
        return self._parameters.ram_base + wire.IMAGE_OFFSET

    @property
    def clock(self) -> Clock:
        """Counter values as guest time."""
        return Clock(self.start_ticks, self.frequency)

    @property
    def start_ticks(self) -> int:
        """The counter at the guest's first instruction."""
        return int(self._control["start_ticks"][0])

    @property
    def user_ticks(self) -> int:
        """The counter when a vCPU was first seen at EL0, 0 until then."""
        return int(self._control["user_ticks"][0])

    def wait_running(self, timeout: float) -> None:
        """Wait for the self-test; see :meth:`Link.wait_running`."""
        self._link.wait_running(timeout)

    def check(self) -> None:
        """See :meth:`Link.check`."""
        self._link.check()

    def arm(self, probes: Sequence[ProbeRequest], progress: Progress | None = None) -> None:
        """See :meth:`Arming.arm`."""
        self._arming.arm(probes, progress)

    def disarm(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Disarm; those that were not armed any more."""
        return self._arming.disarm(slots)

    def load_program(self, program: Program) -> int:
        """See :meth:`Programs.load`."""
        return self._programs.load(program)

    @property
    def memory(self) -> PoolUse:
        """What the probes take: a copy of each page with a probe, and page tables."""
        return PoolUse(int(self._control["pool_used"][0]), int(self._control["pool_pages"][0]))

    def configure_step(
        self,
        options: StepOption,
        end: StepEnd = StepEnd(),  # noqa: B008 - immutable
        task: TaskFilter | None = None,
        pace: int = 0,
    ) -> None:
        """How stepping goes that starts from now on; without an `end`, until it is told to."""
        bits, name, offset = int(options), np.zeros(16, np.uint8), 0
        if task is not None:
            bits |= wire.StepOption.TASK
            name[: len(task.name)] = np.frombuffer(task.name, np.uint8)
            offset = task.offset
        self._mailbox.command(
            wire.Command.CONFIGURE_STEP,
            (bits, int(end.until), end.address, end.limit, offset, pace),
            bulk=name.view(_NAME),
        )

    def set_user_tables(self, offset: int) -> None:
        """Where a task's structure has its TTBR0_EL1 while the kernel runs; 0 for nowhere."""
        self._mailbox.command(wire.Command.USER_TABLES, (offset,))

    def set_stepping(self, vcpus: AbstractSet[int] | None, *, on: bool) -> None:
        """Taken up by each vCPU at its next exit; the monitor's tick is one."""
        stepping = wire.AnswerStepping.ON if on else wire.AnswerStepping.OFF
        self._mailbox.command(wire.Command.SET_STEPPING, (self._mask(vcpus), int(stepping)))

    def set_events(
        self,
        events: AbstractSet[Event],
        *,
        vcpus: AbstractSet[int] | None = None,
        synchronous: AbstractSet[Event] = frozenset(),
        timeout: float = 1.0,
    ) -> None:
        """Report exactly these, of these vCPUs; wait for answers to the `synchronous` of them."""
        self._mailbox.command(
            wire.Command.SET_EVENTS,
            (self._mask(vcpus), _bits(events), _bits(synchronous & events), int(timeout * 1000)),
        )

    def answer(self, vcpu: int, sequence: int, answer: Answer) -> None:
        """One store: no command, no exit."""
        self._answers.write(vcpu, sequence, answer)

    def listen(self, *, on: bool) -> None:
        """See :meth:`Backend.listen`."""
        with self._draining:
            self._drain_rings()
            self._parked_events = Drained()
            self._listening = on

    def drain_events(self) -> Drained:
        """Events and notices since the last call; hits stay for :meth:`drain`."""
        with self._draining:
            self._drain_rings()
            drained, self._parked_events = self._parked_events, Drained()
        return drained

    def set_paused(self, paused: bool) -> None:
        """All vCPUs stand still at EL2 from their next exit on, or go on."""
        flag = wire.Flag.PAUSED
        self._set_flags(self._flags | flag if paused else self._flags & ~flag)

    def step_monitor(self, argument: int) -> OwnSteps:
        """Let the monitor step a routine of its own at EL2; `argument` is what it computes from."""
        results = self._mailbox.command(wire.Command.STEP_MONITOR, (argument,)).tolist()
        count = min(results[2], len(results) - 3)
        return OwnSteps(
            stepped=results[0], free=results[1], steps=results[2], trail=tuple(results[3:][:count])
        )

    def set_policy(self, policy: Policy) -> None:
        """What happens when a ring is full, from now on."""
        flag = wire.Flag.DROP_WHEN_FULL
        self._set_flags(self._flags | flag if policy is Policy.DROP else self._flags & ~flag)

    def drain(self) -> Drained:
        """Hits and notices recorded since the last call; events stay for :meth:`drain_events`."""
        with self._draining:
            self._drain_rings()
            drained, self._parked_hits = self._parked_hits, Drained()
        return drained

    def read_cpu(self) -> CpuRegisters:
        """Registers of the vCPU that answers first."""
        results = self._mailbox.command(wire.Command.READ_CPU)
        size = wire.CPU_REGISTERS.itemsize
        return CpuRegisters.from_record(results.view(np.uint8)[:size].view(wire.CPU_REGISTERS))

    def counters(self) -> tuple[VcpuCounters, ...]:
        """Of each vCPU."""
        return tuple(_counters(status) for status in self._status)

    def read_physical(self, address: int, size: int) -> bytes:
        """Guest memory by physical address.

        :raise MonitorError: When it is not the guest's.
        """
        start = self._parameters.ram_base + wire.REGION_SIZE
        if address < start or not self._ram.contains(address, size):
            message = f"0x{address:x} + {size} bytes is not guest memory"
            raise MonitorError(message)
        return self._ram.read(address, size)

    def crash(self) -> None:
        """Make the monitor take an exception of its own: a test of its last words."""
        self._mailbox.command(wire.Command.CRASH)

    def _drain_rings(self) -> None:
        """Move what the rings hold to those who have not asked for it yet."""
        drained = Drained()
        for ring in self._rings:
            ring.drain(drained)
        hits, events = self._parked_hits, self._parked_events
        hits.hits += drained.hits
        hits.captures += drained.captures
        hits.notices += drained.notices
        if self._listening:
            events.events += drained.events
            events.notices += drained.notices

    def _set_flags(self, flags: wire.Flag) -> None:
        self._mailbox.command(wire.Command.SET_FLAGS, (int(flags),))
        self._flags = flags

    def _mask(self, vcpus: AbstractSet[int] | None) -> int:
        every = range(self._parameters.vcpus)
        wrong = set(vcpus or ()) - set(every)
        if wrong:
            message = f"vCPU {min(wrong)} does not exist: this guest has 0 to {len(every) - 1}"
            raise GuestConfigError(message)
        return sum(1 << vcpu for vcpu in (every if vcpus is None else vcpus))

    def close(self) -> None:
        """Stop the heartbeat and let go of the shared memory."""
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None


def _bits(events: AbstractSet[Event]) -> int:
    return sum(1 << event for event in events)


def _part(
    region: np.ndarray[tuple[int], np.dtype[np.uint8]],
    offset: int,
    dtype: np.dtype[np.void],
    count: int,
) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    return region[offset : offset + count * dtype.itemsize].view(dtype)


def _ring(
    region: np.ndarray[tuple[int], np.dtype[np.uint8]], vcpu: int
) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    start = wire.RINGS_OFFSET + vcpu * wire.RING_SIZE
    return region[start : start + wire.RING_SIZE]


_SHORT_WAYS = {
    "fast_hits": ("exits", "hits", "emulated"),
    "fast_steps": ("exits", "trace_steps"),
}
"""Counters of the monitor's short ways, and what else each of their exits counts as."""


def _counters(status: np.void) -> VcpuCounters:
    values = {field.name: int(status[field.name]) for field in fields(VcpuCounters)}
    for short, names in _SHORT_WAYS.items():
        for name in names:
            values[name] += int(status[short])
    return VcpuCounters(**values)
