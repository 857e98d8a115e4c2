"""Control page: handshake, state, heartbeat.

::

    RESET --monitor--> BOOTING --monitor--> RUNNING --guest powers off--> OFF
                          |                    |  ^
                          v                    |  +--host sends RESUME
                        FAILED                 +--heartbeat missing--> HOST_LOST
    any state --exception at EL2--> PANIC
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import GuestError, MonitorError
from stepvisor.monitor.barrier import barrier

__all__ = ("ABI", "BootParameters", "Heartbeat", "Link")

ABI = wire.ABI_HASH
"""Identifies the wire that this package speaks; the monitor must have the same."""

_BEAT_SECONDS = 0.05
_POLL_SECONDS = 0.001

_FAILURES = {
    wire.Failure.NOT_EL2: "it was not started at EL2 (QEMU needs virtualization=on)",
    wire.Failure.ABI: "monitor and host come from different builds: rebuild with `make el2`",
    wire.Failure.PARAMETERS: "it was given boot parameters that cannot be",
    wire.Failure.SMC_TRAP: "an SMC at EL1 does not trap to EL2 (HCR_EL2.TSC)",
    wire.Failure.SOFTWARE_STEP: "a software step does not come back to EL2 (MDCR_EL2.TDE)",
    wire.Failure.STAGE2_ABORT: "an access outside stage 2 does not abort",
    wire.Failure.EL2_TIMER: "the EL2 timer does not interrupt",
    wire.Failure.GIC: "the interrupt controller has no usable virtual interface (needs GICv3)",
    wire.Failure.GRANULE: "the CPU model has no 4 KiB pages",
}


@dataclass(frozen=True, slots=True)
class BootParameters:
    """What the monitor must know before its first instruction; physical addresses, bytes."""

    ram_base: int
    ram_size: int
    guest_entry: int
    guest_argument: int
    gicd_base: int
    gicr_base: int
    uart_base: int
    forbidden_base: int
    forbidden_size: int
    vcpus: int
    flags: int = 0
    """Bits of ``wire.Flag``."""
    heartbeat_timeout_ms: int = 5000
    """A busy process, whose other threads have the interpreter, is not one that died."""
    tick_hz: int = 1000


class Link:
    """The control page as host."""

    def __init__(self, control: NDArray[np.void], machine_alive: Callable[[], None]) -> None:
        """`control` is ``wire.CONTROL`` as an array of length 1 over shared memory.

        `machine_alive` raises when the machine has ended.
        """
        self.control = control
        self._machine_alive = machine_alive

    @property
    def state(self) -> wire.State:
        """What the monitor says of itself.

        :raise MonitorError: When it says nonsense.
        """
        value = int(self.control["state"][0])
        try:
            return wire.State(value)
        except ValueError as error:
            message = f"the control page is damaged: state {value}"
            raise MonitorError(message) from error

    def prepare(self, parameters: BootParameters) -> None:
        """Write the boot parameters; the machine must not run yet."""
        control = self.control
        for name in BootParameters.__dataclass_fields__:
            control[name][0] = int(getattr(parameters, name))
        control["host_abi"][0] = wire.ABI_HASH
        control["host_magic"][0] = wire.CONTROL_MAGIC

    def wait_running(self, timeout: float) -> None:
        """Wait until the monitor has passed its self-test and starts the guest.

        :raise MonitorError: When it fails, is another build, or says nothing for `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (state := self.state) in {wire.State.RESET, wire.State.BOOTING}:
            self._machine_alive()
            if time.monotonic() > deadline:
                message = (
                    f"the monitor did not start the guest within {timeout:g} s"
                    f" (state {state.name}); run `stepvisor doctor`"
                )
                raise MonitorError(message)
            time.sleep(_POLL_SECONDS)
        barrier()
        # A monitor that failed before it could say who it is has a reason to give.
        self.check()
        self._check_identity()

    def check(self) -> None:
        """Nothing while the monitor runs the guest.

        :raise MonitorError: Otherwise, saying why not.
        :raise GuestError: When the guest itself ended.
        :raise MachineError: When the machine itself has ended.
        """
        state = self.state
        if state is wire.State.RUNNING:
            self._machine_alive()
        elif state is wire.State.FAILED:
            raise self._failed()
        elif state is wire.State.PANIC:
            raise self._panicked()
        elif state is wire.State.HOST_LOST:
            message = (
                "the monitor heard nothing from this process for too long and took all probes"
                " away; the guest runs on. Was the process stopped? Start the trace again"
            )
            raise MonitorError(message)
        elif state is wire.State.OFF:
            message = "the guest has powered off, or panicked"
            raise GuestError(message)

    def _check_identity(self) -> None:
        magic, abi = int(self.control["magic"][0]), int(self.control["abi"][0])
        if magic != wire.CONTROL_MAGIC:
            message = f"the control page is damaged: magic 0x{magic:x}"
            raise MonitorError(message)
        if abi != wire.ABI_HASH:
            message = (
                f"monitor and host come from different builds (ABI 0x{abi:016x} and"
                f" 0x{wire.ABI_HASH:016x}): rebuild with `make el2`"
            )
            raise MonitorError(message)

    def _failed(self) -> MonitorError:
        code = int(self.control["failure"][0])
        known = code in set(wire.Failure)
        reason = _FAILURES.get(wire.Failure(code)) if known else None
        name = wire.Failure(code).name if known else str(code)
        message = f"the monitor's self-test failed: {name}: {reason or 'unknown check'}"
        return MonitorError(message)

    def _panicked(self) -> MonitorError:
        names = ("vector", "esr", "elr", "far", "vcpu")
        values = {name: int(self.control[f"panic_{name}"][0]) for name in names}
        text = ", ".join(f"{name} 0x{value:x}" for name, value in values.items())
        message = f"the monitor stopped at an exception of its own ({text}): please report this"
        return MonitorError(message)


class Heartbeat:
    """Counts ``control.heartbeat`` up for as long as this process lives.

    When it stands still the monitor goes on without the host: all vCPUs to the open view.
    """

    def __init__(self, control: NDArray[np.void], seconds: float = _BEAT_SECONDS) -> None:
        """Start beating every `seconds`."""
        self._heartbeat = control["heartbeat"]
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._seconds):
            self._heartbeat[0] += np.uint64(1)
