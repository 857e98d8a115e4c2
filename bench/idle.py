"""A guest that is not watched: how much slower is it under the monitor than without?"""

from collections.abc import Callable
from pathlib import Path

import stepvisor
from bench.native import NativeMachine
from bench.userland import COMPILE, DD, PINGPONG, Runner, boot_seconds, clocked
from stepvisor.machine.config import DEFAULT_CPU
from stepvisor.trace.guest import Guest

__all__ = ("VCPUS", "boot_monitor", "boot_native", "boots", "workloads")

VCPUS = 2


def boot_monitor(kernel: Path, initrd: Path) -> Guest:
    """A guest under the monitor whose shell takes commands."""
    guest = stepvisor.start(kernel, initrd=initrd, cpus=VCPUS, cpu=DEFAULT_CPU)
    try:
        guest.wait_ready()
    except BaseException:
        guest.close()
        raise
    return guest


def boot_native(kernel: Path, initrd: Path, *, el2: bool = False) -> NativeMachine:
    """The same without it."""
    return NativeMachine(kernel, initrd, vcpus=VCPUS, el2=el2)


def boots(kernel: Path, initrd: Path, *, el2: bool) -> dict[str, Callable[[], float]]:
    """Seconds from power-on to user space; each boots a machine of its own."""

    def monitor() -> float:
        with boot_monitor(kernel, initrd) as guest:
            return boot_seconds(guest.console.text().decode(errors="replace"))

    def native() -> float:
        with boot_native(kernel, initrd) as machine:
            return boot_seconds(machine.console.text().decode(errors="replace"))

    def native_el2() -> float:
        with boot_native(kernel, initrd, el2=True) as machine:
            return boot_seconds(machine.console.text().decode(errors="replace"))

    found = {"native": native, "monitor": monitor}
    return found | {"native_el2": native_el2} if el2 else found


def workloads(runner: Runner, scale: float) -> dict[str, Callable[[], float]]:
    """Seconds of guest time of dd, of the compilation, of the ping-pong."""
    return {
        "dd": _clocked(runner, DD, 100_000 * scale),
        "cpu": _clocked(runner, COMPILE, 6 * scale),
        "ipi": _clocked(runner, PINGPONG, 1000 * scale),
    }


def _clocked(runner: Runner, command: str, count: float) -> Callable[[], float]:
    return lambda: clocked(runner, command.format(count=int(count)))
