"""Our own EL2 monitor behind the backend interface."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields

import numpy as np

from stepvisor._gen import wire
from stepvisor.errors import MonitorError, ProbeError
from stepvisor.machine.ram import GuestRam
from stepvisor.monitor.events import Drained
from stepvisor.monitor.interface import (
    Action,
    Capabilities,
    Event,
    Plan,
    Policy,
    ProbeRequest,
    StepOption,
    VcpuCounters,
)
from stepvisor.monitor.link import BootParameters, Heartbeat, Link
from stepvisor.monitor.mailbox import Mailbox, RefusedError
from stepvisor.monitor.registers import CpuRegisters
from stepvisor.monitor.ring import RingReader

__all__ = ("El2Monitor",)

_PLANS = {plan: wire.Plan[plan.name] for plan in Plan}
_ACTIONS = {action: wire.Action[action.name] for action in Action}
_ALL_VCPUS = (1 << wire.MAX_VCPUS) - 1

_REFUSALS = {
    wire.Status.BAD_ADDRESS: "its address is not guest memory that can be probed",
    wire.Status.WORD_CHANGED: "the guest has just changed the instruction there; try again",
    wire.Status.NO_MEMORY: "the monitor has no page left for another shadow; use fewer probes",
    wire.Status.ALREADY_ARMED: "a probe is armed there already",
}


class El2Monitor:
    """Implements :class:`stepvisor.monitor.interface.Backend`."""

    def __init__(
        self, ram: GuestRam, parameters: BootParameters, machine_alive: Callable[[], None]
    ) -> None:
        """Write `parameters` for a machine that has not started, and take up the heartbeat."""
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
        self._rings = [
            RingReader(vcpu, _ring(region, vcpu), index[vcpu : vcpu + 1]) for vcpu in range(vcpus)
        ]
        self._heartbeat: Heartbeat | None = Heartbeat(control)

    @property
    def capabilities(self) -> Capabilities:
        """Limits of the monitor."""
        return Capabilities(
            vcpus=self._parameters.vcpus,
            probes=wire.MAX_SLOTS - wire.PRIVATE_SLOTS - 1,
            hit_registers=wire.HIT_REGISTERS,
            policies=frozenset(Policy),
        )

    @property
    def frequency(self) -> int:
        """Counter ticks per second (CNTFRQ_EL0)."""
        return int(self._control["frequency"][0])

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

    def arm(self, probes: Sequence[ProbeRequest]) -> None:
        """Arm all of `probes`, or none.

        :raise ProbeError: When one cannot be armed.
        """
        if not probes:
            return
        probes = sorted(probes, key=lambda probe: probe.ipa)  # the monitor builds page by page
        table = np.zeros(len(probes), wire.PROBE_DESCRIPTOR)
        for name in ("ipa", "va", "slot", "word"):
            table[name] = [getattr(probe, name) for probe in probes]
        table["plan"] = [_PLANS[probe.plan] for probe in probes]
        table["action"] = [_ACTIONS[probe.action] for probe in probes]
        try:
            self._mailbox.command(wire.Command.ARM, bulk=table)
        except RefusedError as error:
            raise _refusal(error, probes) from error

    def disarm(self, slots: Sequence[int]) -> None:
        """Disarm; a probe that the guest has already removed is no error."""
        remaining = list(slots)
        while remaining:
            table = np.zeros(len(remaining), wire.PROBE_DESCRIPTOR)
            table["slot"] = remaining
            try:
                self._mailbox.command(wire.Command.DISARM, bulk=table)
            except RefusedError as error:
                if error.status != wire.Status.NOT_ARMED or error.failed_index >= len(remaining):
                    raise
                del remaining[error.failed_index]
            else:
                return

    def configure_step(self, options: StepOption) -> None:
        """How stepping goes that starts from now on; it ends where it is told to."""
        bits = sum(int(wire.StepOption[str(option.name)]) for option in options)
        self._mailbox.command(wire.Command.CONFIGURE_STEP, (bits, int(wire.Until.NEVER)))

    def set_events(self, events: AbstractSet[Event]) -> None:
        """Report these, of all vCPUs, without waiting for answers; nothing else."""
        bits = sum(1 << int(wire.Event[event.name]) for event in events)
        self._mailbox.command(wire.Command.SET_EVENTS, (_ALL_VCPUS, bits))

    def set_policy(self, policy: Policy) -> None:
        """What happens when a ring is full, from now on."""
        flags = wire.Flag(self._parameters.flags) & ~wire.Flag.DROP_WHEN_FULL
        if policy is Policy.DROP:
            flags |= wire.Flag.DROP_WHEN_FULL
        self._mailbox.command(wire.Command.SET_FLAGS, (int(flags),))

    def drain(self) -> Drained:
        """Everything recorded since the last call."""
        drained = Drained()
        for ring in self._rings:
            ring.drain(drained)
        return drained

    def read_cpu(self) -> CpuRegisters:
        """Registers of the vCPU that answers first."""
        results = self._mailbox.command(wire.Command.READ_CPU)
        size = wire.CPU_REGISTERS.itemsize
        return CpuRegisters.from_record(results.view(np.uint8)[:size].view(wire.CPU_REGISTERS))

    def counters(self) -> tuple[VcpuCounters, ...]:
        """Of each vCPU."""
        names = [field.name for field in fields(VcpuCounters)]
        return tuple(
            VcpuCounters(**{name: int(status[name]) for name in names}) for status in self._status
        )

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

    def close(self) -> None:
        """Stop the heartbeat and let go of the shared memory."""
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None


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


def _refusal(error: RefusedError, probes: Sequence[ProbeRequest]) -> Exception:
    reason = _REFUSALS.get(wire.Status(error.status)) if error.status in set(wire.Status) else None
    if reason is None or error.failed_index >= len(probes):
        return error
    probe = probes[error.failed_index]
    return ProbeError(f"no probe on {probe.label} (0x{probe.va:x}): {reason}")
