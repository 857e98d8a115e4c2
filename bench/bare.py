"""A bare-metal payload under the monitor or above the floor: the same one, at the same addresses.

Only the machine that measures runs: the others are stopped (SIGSTOP), so that all of them can
live through a whole comparison and take turns.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from bench.contention import Contention
from bench.guests import Payload
from stepvisor.errors import GuestError
from stepvisor.machine.config import DEFAULT_CPU, MIB, MachineConfig
from stepvisor.machine.machine import Machine, MachineState
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.monitor.link import BootParameters
from stepvisor.probe.plan import Method, plan_for

__all__ = ("MAX_VCPUS", "BareMachine", "FloorMachine", "MonitorMachine")

MAX_VCPUS = 8
"""Elements of the payload's `results`."""

_BASE = 0x4800_0000
_MEMORY = 128 * MIB
_SECONDS = 120.0
_DRAIN_SECONDS = 0.0005
_LOOK_SECONDS = 0.05

_JOB = np.dtype([("number", "<u8"), ("routine", "<u8"), ("count", "<u8"), ("steps", "<u8")])
_RESULT = np.dtype([("number", "<u8"), ("nanoseconds", "<u8"), ("padding", "<u8", 6)])


class BareMachine:
    """Runs routines of a payload and says how long they took. A context manager."""

    def __init__(self, payload: Payload, machine: Machine) -> None:
        """`machine` is stopped; it belongs to this object from now on."""
        self.payload = payload
        self.machine = machine
        self._number = 0
        self._awake = threading.Event()
        self._awake.set()
        machine.ram.write(_BASE, payload.path.read_bytes())
        job, results = payload.symbols["job"], payload.symbols["results"]
        self._job = _array(machine, job, _JOB, 1)
        self._results = _array(machine, results, _RESULT, MAX_VCPUS)

    def time(self, routine: str, count: int, *, floor_steps: bool = False) -> float:
        """Seconds that `routine` took on all vCPUs at once, on average.

        By the physical counter, less what the host's processors did for others meanwhile.
        """
        vcpus = self.machine.config.vcpus
        contention = Contention(self.machine.pid)
        self._number += 1
        job = self._job[0]
        job["routine"], job["count"] = self.payload.symbols[routine], count
        job["steps"] = floor_steps
        self._job["number"] = self._number
        self._await(lambda: bool((self._results["number"][:vcpus] == self._number).all()))
        seconds = float(self._results["nanoseconds"][:vcpus].mean()) / 1e9
        return seconds * (1 - contention.share(vcpus))

    def _await(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        while not done():
            self.machine.check_alive()
            if time.monotonic() > deadline:
                raise GuestError("the payload does not answer")
            time.sleep(0.0005)

    def _start(self) -> None:
        """Wait until the payload takes jobs, and stop."""
        self.time("loop_base", 1)
        self.freeze()

    @contextlib.contextmanager
    def _closed_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def freeze(self) -> None:
        """Stop QEMU, so that it takes no time from others. Idempotent."""
        if self._awake.is_set() and self.machine.state is MachineState.RUNNING:
            os.kill(self.machine.pid, signal.SIGSTOP)
            self._awake.clear()

    @contextlib.contextmanager
    def awake(self) -> Iterator[Self]:
        """It runs while the block lasts, and only then."""
        self.machine.check_alive()
        os.kill(self.machine.pid, signal.SIGCONT)
        self._awake.set()
        try:
            yield self
        finally:
            self.freeze()

    def close(self) -> None:
        """End QEMU. Idempotent."""
        self.machine.close()

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


class FloorMachine(BareMachine):
    """A payload above the floor."""

    def __init__(
        self, payload: Payload, floor: Payload, *, vcpus: int = 1, cpu: str = DEFAULT_CPU
    ) -> None:
        """Boot, and stop when the payload takes jobs."""
        super().__init__(payload, Machine(_config(vcpus, cpu), floor.path))
        with self._closed_if_it_fails():
            self.machine.resume()
            self._start()


class MonitorMachine(BareMachine):
    """A payload under the monitor, its rings drained by a thread as long as it is awake."""

    def __init__(
        self, payload: Payload, *, vcpus: int = 1, cpu: str = DEFAULT_CPU, drain: bool = True
    ) -> None:
        """Boot, and stop when the payload takes jobs; without `drain` nobody empties the rings."""
        super().__init__(payload, Machine(_config(vcpus, cpu), find_monitor_image()))
        self._draining = drain
        self._slot = 0
        self._ending = threading.Event()
        self._drainer = threading.Thread(target=self._run, name="drain", daemon=True)
        with self._closed_if_it_fails():
            self.monitor = El2Monitor(
                self.machine.ram, self._parameters(vcpus), self.machine.check_alive
            )
            self.machine.resume()
            self.monitor.wait_running(_SECONDS)
            if drain:
                self._drainer.start()
            self._start()

    def request(
        self, symbol: str | int, *, method: Method | None = None, program: int = 0
    ) -> ProbeRequest:
        """What to arm for the instruction at `symbol`."""
        address = symbol if isinstance(symbol, int) else self.payload.symbols[symbol]
        word = int.from_bytes(self.monitor.read_physical(address, 4), "little")
        choice = plan_for(word, method)
        self._slot = self._slot % self.monitor.capabilities.probes + 1
        return ProbeRequest(
            slot=self._slot,
            va=address,
            ipa=address,
            word=word,
            plan=choice.plan,
            label=str(symbol),
            emulation=choice.emulation,
            program=program,
        )

    @contextlib.contextmanager
    def probing(self, requests: Sequence[ProbeRequest]) -> Iterator[None]:
        """Probes for as long as the block lasts; the machine is awake."""
        self.monitor.arm(requests)
        try:
            yield
        finally:
            self.monitor.disarm([request.slot for request in requests])

    def close(self) -> None:
        """End QEMU. Idempotent."""
        if hasattr(self, "_ending"):
            self._ending.set()
            if self._drainer.is_alive():
                self._drainer.join()
        if hasattr(self, "monitor"):
            self.monitor.close()
        super().close()

    def time(self, routine: str, count: int, *, floor_steps: bool = False) -> float:
        """As above, from empty rings."""
        if self._draining:
            self._drain()
        return super().time(routine, count, floor_steps=floor_steps)

    def _run(self) -> None:
        while not self._ending.wait(_DRAIN_SECONDS):
            if self._awake.wait(_LOOK_SECONDS):
                self._drain()

    def _drain(self) -> None:
        self.monitor.drain()
        self.monitor.drain_events()

    def _parameters(self, vcpus: int) -> BootParameters:
        board = self.machine.board
        return BootParameters(
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
            heartbeat_timeout_ms=int(_SECONDS * 1000),
        )


def _config(vcpus: int, cpu: str) -> MachineConfig:
    return MachineConfig(cpu=cpu, vcpus=vcpus, memory=_MEMORY)


def _array(
    machine: Machine, address: int, dtype: np.dtype[np.void], count: int
) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    view = machine.ram.view(address, dtype.itemsize * count)
    return np.frombuffer(view, dtype=dtype)
