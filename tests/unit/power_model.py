"""Every order of events of some vCPUs, with the monitor's own code for power and the clock.

The C functions of el2/power_state.c are compiled for this machine and work on a copy of the state;
around them is a model of what is not ours: the cores, the firmware, and who may do what next.
"""

import ctypes
import enum
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from stepvisor._gen import wire

__all__ = ("Explorer", "Firmware", "ModelError", "Phase", "World", "build_library")

_COMPILER = (
    *("gcc", "-std=gnu11", "-O1", "-g", "-ffreestanding", "-nostdlib", "-shared", "-fPIC"),
    *("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"),
)


_T = TypeVar("_T")


class ModelError(AssertionError):
    """What must not be is."""


class Power(enum.IntEnum):
    """As `enum power`."""

    OFF = 0
    STARTING = 1
    ON = 2


class _State(ctypes.Structure):
    _fields_ = (
        ("power", ctypes.c_uint32 * wire.MAX_VCPUS),
        ("pausing", ctypes.c_uint32),
        ("stopped", ctypes.c_uint32),
        ("stands", ctypes.c_bool),
        ("since", ctypes.c_uint64),
        ("offset", ctypes.c_uint64),
    )


class Phase(enum.Enum):
    """What a core is doing."""

    OFF = "off"
    COMING = "in the monitor, not counted yet"
    STAYING = "stopped by another one's pause"
    SETTING = "about to set its clock"
    GUEST = "in the guest"
    LEAVING = "at the end of an exit"
    PAUSING = "waits for the host"
    GOING = "counted as off, the firmware is about to be asked"
    DYING = "executes nothing more, which the firmware does not know yet"


_RUNNING = {Phase.STAYING, Phase.SETTING, Phase.GUEST, Phase.LEAVING, Phase.PAUSING}
_STOPPED = {Phase.STAYING, Phase.PAUSING}


class Firmware(enum.Enum):
    """What AFFINITY_INFO says of a core."""

    ON = 0
    OFF = 1
    PENDING = 2


@dataclass(frozen=True)
class World:
    """One state of everything."""

    memory: bytes
    phases: tuple[Phase, ...]
    firmware: tuple[Firmware, ...]
    right_clock: tuple[bool, ...]
    """Whose CNTVOFF_EL2 is the offset of all."""

    def at(self, vcpu: int, phase: Phase) -> "World":
        return replace(self, phases=_changed(self.phases, vcpu, phase))

    def says(self, vcpu: int, firmware: Firmware) -> "World":
        return replace(self, firmware=_changed(self.firmware, vcpu, firmware))


def _changed(values: tuple[_T, ...], index: int, value: _T) -> tuple[_T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def build_library(source: Path, output: Path) -> ctypes.CDLL:
    """`power_state.c`, or a copy of it, for this machine; undefined behaviour ends the process."""
    include = Path(__file__).resolve().parents[2] / "el2" / "include"
    library = output / "power_state.so"
    subprocess.run([*_COMPILER, f"-I{include}", str(source), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class Explorer:
    """All that can happen from one vCPU that runs."""

    def __init__(self, library: ctypes.CDLL, vcpus: int) -> None:
        self._library = library
        self._vcpus = vcpus
        for name in ("power_up", "power_end_pause", "power_must_stop", "power_may_go_on"):
            getattr(library, name).restype = ctypes.c_bool

    def explore(self) -> set[World]:
        """Every state that can be reached; ModelError names what is wrong and how it came."""
        start = self._begin()
        came: dict[World, tuple[World, str] | None] = {start: None}
        todo = deque([start])
        while todo:
            world = todo.popleft()
            try:
                steps = list(self._steps(world))
                self._check(world, steps)
            except ModelError as error:
                raise ModelError(f"{error}\n{_history(came, world)}") from None
            for label, after in steps:
                if after not in came:
                    came[after] = world, label
                    todo.append(after)
        return set(came)

    def _begin(self) -> World:
        others = self._vcpus - 1
        world = World(
            bytes(_State()),
            (Phase.COMING, *[Phase.OFF] * others),
            (Firmware.ON, *[Firmware.OFF] * others),
            (False,) * self._vcpus,
        )
        return self._join(world, 0)

    def _call(self, world: World, name: str, *arguments: int) -> tuple[World, bool]:
        """One function on the state, and what it returns; an offset that grows is everybody's."""
        state = _State.from_buffer_copy(world.memory)
        stood = state.stands
        values = [ctypes.c_uint64(value) for value in arguments]
        result = bool(getattr(self._library, name)(ctypes.byref(state), *values))
        ended = stood and not state.stands
        _require(state.offset == (_LATER - _NOW if ended else 0), "for how long the clock stood")
        clocks = (False,) * self._vcpus if ended else world.right_clock
        # Only how long it stood counts, not when: or there would be no end of states.
        state.offset = 0
        state.since = state.since if state.stands else 0
        return replace(world, memory=bytes(state), right_clock=clocks), result

    def _timed(self, world: World, name: str, *arguments: int) -> tuple[World, bool]:
        stands = _State.from_buffer_copy(world.memory).stands
        return self._call(world, name, *arguments, _LATER if stands else _NOW)

    def _decided(self, world: World, name: str, vcpu: int, *arguments: int) -> World:
        """What says whether a vCPU has to stop: it has to while anybody pauses."""
        after, stop = self._timed(world, name, *arguments)
        pausing = _State.from_buffer_copy(after.memory).pausing
        _require(stop == bool(pausing), f"{name} lets vCPU {vcpu} run during a pause, or stops it")
        return after.at(vcpu, Phase.STAYING if stop else Phase.SETTING)

    def _steps(self, world: World) -> Iterator[tuple[str, World]]:
        for vcpu, phase in enumerate(world.phases):
            for label, after in _ACTIONS[phase](self, world, vcpu):
                yield f"{vcpu}: {label}", after
        for vcpu, firmware in enumerate(world.firmware):
            if firmware is Firmware.PENDING:
                _require(world.phases[vcpu] is Phase.OFF, f"two contexts on vCPU {vcpu}")
                yield f"{vcpu}: starts", world.at(vcpu, Phase.COMING).says(vcpu, Firmware.ON)

    def _off(self, _world: World, _vcpu: int) -> Iterator[tuple[str, World]]:
        return iter(())

    def _coming(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        yield "comes up", self._join(world, vcpu)

    def _join(self, world: World, vcpu: int) -> World:
        return self._decided(world, "power_up", vcpu, vcpu)

    def _staying(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        after, may = self._call(world, "power_may_go_on")
        if may:
            yield "may go on", after.at(vcpu, Phase.SETTING)
        else:
            _require(after == world, "a look changes nothing")

    def _setting(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        after = replace(world, right_clock=_changed(world.right_clock, vcpu, True))
        yield "sets its clock and enters the guest", after.at(vcpu, Phase.GUEST)
        yield "sets its clock", after.at(vcpu, Phase.LEAVING)

    def _leaving(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        after = self._decided(world, "power_must_stop", vcpu)
        stops = after.phases[vcpu] is Phase.STAYING
        # Who need not stop has had the right clock all the time.
        yield "looks for a pause", after if stops else after.at(vcpu, Phase.GUEST)

    def _guest(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        yield "exits", world.at(vcpu, Phase.LEAVING)
        after, _ = self._timed(world, "power_begin_pause")
        yield "waits for the host", after.at(vcpu, Phase.PAUSING)
        after, _ = self._timed(world, "power_down", vcpu)
        yield "CPU_OFF", after.at(vcpu, Phase.GOING)
        for target in range(self._vcpus):
            for answer, after in self._cpu_on(world, target):
                yield f"CPU_ON {target}: {answer}", after.at(vcpu, Phase.LEAVING)
        yield "AFFINITY_INFO", world.at(vcpu, Phase.LEAVING)

    def _cpu_on(self, world: World, target: int) -> Iterator[tuple[str, World]]:
        """As psci.c has it: the firmware is asked for what is off, with the lock."""
        power = _State.from_buffer_copy(world.memory).power[target]
        if power != Power.OFF:
            yield Power(power).name, world
            return
        yield "the firmware refuses", world
        if world.firmware[target] is Firmware.OFF:
            after, _ = self._call(world, "power_start", target)
            yield "done", after.says(target, Firmware.PENDING)

    def _pausing(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        yield "heard from the host", self._decided(world, "power_end_pause", vcpu)

    def _going(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        yield "CPU_OFF is refused", world.at(vcpu, Phase.COMING)
        yield "executes nothing more", world.at(vcpu, Phase.DYING)

    def _dying(self, world: World, vcpu: int) -> Iterator[tuple[str, World]]:
        yield "is off", world.at(vcpu, Phase.OFF).says(vcpu, Firmware.OFF)

    def _check(self, world: World, steps: list[tuple[str, World]]) -> None:
        state = _State.from_buffer_copy(world.memory)
        phases = world.phases
        for vcpu, phase in enumerate(phases):
            self._check_power(state.power[vcpu], phase, world.firmware[vcpu], vcpu)
            if phase is Phase.GUEST:
                _require(not state.stands, f"vCPU {vcpu} runs while the clock stands")
                _require(world.right_clock[vcpu], f"vCPU {vcpu} has a clock of its own")
        running = [phase for phase in phases if phase in _RUNNING]
        still = Phase.PAUSING in phases and all(phase in _STOPPED for phase in running)
        _require(state.stands == still, f"the clock {'runs' if still else 'stands'}")
        _require(state.pausing == phases.count(Phase.PAUSING), "vCPUs that pause")
        _require(state.stopped == sum(phase in _STOPPED for phase in phases), "stopped vCPUs")
        everything_off = all(firmware is Firmware.OFF for firmware in world.firmware)
        _require(bool(steps) != everything_off, "nothing can happen any more")

    @staticmethod
    def _check_power(power: int, phase: Phase, firmware: Firmware, vcpu: int) -> None:
        starting = phase is Phase.COMING or firmware is Firmware.PENDING
        allowed = {Power.ON} if phase in _RUNNING else {Power.OFF}
        if starting:
            # What CPU_OFF was refused to is off until it is counted again.
            allowed = {Power.STARTING} if firmware is Firmware.PENDING else {*Power} - {Power.ON}
        _require(power in allowed, f"vCPU {vcpu} ({phase.value}) counts as {Power(power).name}")


_NOW, _LATER = 1, 2

_ACTIONS: dict[Phase, Callable[[Explorer, World, int], Iterator[tuple[str, World]]]] = {
    Phase.OFF: Explorer._off,
    Phase.COMING: Explorer._coming,
    Phase.STAYING: Explorer._staying,
    Phase.SETTING: Explorer._setting,
    Phase.GUEST: Explorer._guest,
    Phase.LEAVING: Explorer._leaving,
    Phase.PAUSING: Explorer._pausing,
    Phase.GOING: Explorer._going,
    Phase.DYING: Explorer._dying,
}


def _require(condition: bool, words: str) -> None:
    if not condition:
        raise ModelError(words)


def _history(came: dict[World, tuple[World, str] | None], world: World) -> str:
    """How it came to this."""
    lines: list[str] = []
    step = came[world]
    while step:
        lines.append(step[1])
        step = came[step[0]]
    return "\n".join(reversed(lines))
