"""A guest that is not watched: how much slower is it under the monitor than without?"""

from collections.abc import Callable
from pathlib import Path

import stepvisor
from bench.native import NativeMachine
from bench.unwatched import FloorGuest
from bench.userland import COMPILE, DD, PINGPONG, Runner, boot_seconds, clocked
from stepvisor.machine.config import DEFAULT_CPU
from stepvisor.trace.guest import Guest

__all__ = ("VCPUS", "Machine", "boot_monitor", "booted", "boots", "machines", "workloads")

VCPUS = 2

Machine = Guest | NativeMachine | FloorGuest
"""A running kernel with a shell."""


def boot_monitor(kernel: Path, initrd: Path) -> Guest:
    """A guest under the monitor whose shell takes commands."""
    guest = stepvisor.start(kernel, initrd=initrd, cpus=VCPUS, cpu=DEFAULT_CPU)
    try:
        guest.wait_ready()
    except BaseException:
        guest.close()
        raise
    return guest


def machines(kernel: Path, initrd: Path, *, full: bool) -> dict[str, Callable[[], Machine]]:
    """What is compared: each boots it."""
    some: dict[str, Callable[[], Machine]] = {
        "native": lambda: NativeMachine(kernel, initrd, vcpus=VCPUS),
        "monitor": lambda: boot_monitor(kernel, initrd),
    }
    more: dict[str, Callable[[], Machine]] = {
        "native_el2": lambda: NativeMachine(kernel, initrd, vcpus=VCPUS, el2=True),
        "floor": lambda: FloorGuest(kernel, initrd, vcpus=VCPUS),
    }
    return some | more if full else some


def booted(machine: Machine) -> float:
    """Seconds that a machine took to user space; to be asked for right after that."""
    return boot_seconds(machine.console.text().decode(errors="replace"), machine.pid)


def boots(kernel: Path, initrd: Path, *, full: bool) -> dict[str, Callable[[], float]]:
    """Seconds from power-on to user space; each boots a machine of its own."""
    compared = machines(kernel, initrd, full=full)
    return {name: _timed(boot) for name, boot in compared.items()}


def _timed(boot: Callable[[], Machine]) -> Callable[[], float]:
    def measure() -> float:
        with boot() as machine:
            return booted(machine)

    return measure


def workloads(runner: Runner, scale: float) -> dict[str, Callable[[], float]]:
    """Seconds of guest time of dd, of the compilation, of the ping-pong."""
    return {
        "dd": _clocked(runner, DD, 100_000 * scale),
        "cpu": _clocked(runner, COMPILE, 6 * scale),
        "ipi": _clocked(runner, PINGPONG, 1000 * scale),
    }


def _clocked(runner: Runner, command: str, count: float) -> Callable[[], float]:
    return lambda: clocked(runner, command.format(count=int(count)))
