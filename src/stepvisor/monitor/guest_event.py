"""One monitor event, as a callback gets it."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.errors import MonitorError
from stepvisor.monitor.vocabulary import Event, Outcome

__all__ = ("Clock", "GuestEvent", "read_event")


@dataclass(frozen=True, slots=True)
class Clock:
    """The counter in events, as seconds since the guest's first instruction."""

    start_ticks: int
    frequency: int

    def seconds(self, ticks: int) -> float:
        """Guest time of a counter value."""
        return (ticks - self.start_ticks) / self.frequency


@dataclass(frozen=True, slots=True)
class GuestEvent:
    """A vCPU at an event, with its registers as they are after it. Names are the architecture's."""

    kind: Event
    outcome: Outcome
    """Of a SINGLESTEP; STARTED for other events."""
    vcpu: int
    sequence: int
    """Counts this vCPU's records from 0, lost ones too."""
    time: float
    """Seconds since the guest's first instruction."""
    pc: int
    instruction_address: int
    """Of the instruction that the event is about."""
    word: int
    """That instruction, 0 when it could not be read."""
    instruction_set: InstructionSet
    """Of `word`."""
    x: tuple[int, ...]
    """x0 to x30."""
    sp_el0: int
    sp_el1: int
    pstate: int
    ttbr0: int
    ttbr1: int
    tcr: int
    vbar: int
    esr: int
    """ESR_EL1 for an outcome of EXCEPTION, else ESR_EL2 of the trap."""
    far: int
    """FAR_EL1 for an outcome of EXCEPTION, else 0."""
    waits: bool
    """Whether the vCPU waits for an answer."""


_KINDS = {int(kind): kind for kind in Event}
_OUTCOMES = {int(outcome): outcome for outcome in Outcome}
_SETS = {int(kind): kind for kind in InstructionSet}
_CODES = {"u2": "H", "u1": "B", "u8": "Q", "u4": "I"}


def _format() -> struct.Struct:
    """The record as `struct` reads it, four times faster than NumPy reads a single one."""
    codes = ["<"]
    for name in wire.RECORD_EVENT.names or ():
        kind = wire.RECORD_EVENT[name]
        codes.append(f"{kind.shape[0] if kind.shape else ''}{_CODES[kind.base.str[1:]]}")
    return struct.Struct("".join(codes))


_RECORD = _format()
if _RECORD.size != wire.RECORD_EVENT.itemsize:
    raise AssertionError("record_event has padding that its declaration does not name")


def read_event(record: NDArray[np.void], clock: Clock) -> GuestEvent:
    """The event in an array of one element of dtype ``wire.RECORD_EVENT``.

    :raise MonitorError: When it is of a kind that does not exist.
    """
    values = _RECORD.unpack(record.data)
    _, _, vcpu, flags, _, sequence, ticks, pc, *rest = values
    x, rest = tuple(rest[:31]), rest[31:]
    sp_el0, sp_el1, pstate, ttbr0, ttbr1, tcr, vbar, esr, far, address, *last = rest
    word, kind, outcome, waits = last
    try:
        return GuestEvent(
            _KINDS[kind],
            _OUTCOMES[outcome],
            vcpu,
            sequence,
            clock.seconds(ticks),
            pc,
            address,
            word,
            _SETS[flags],
            x,
            sp_el0,
            sp_el1,
            pstate,
            ttbr0,
            ttbr1,
            tcr,
            vbar,
            esr,
            far,
            bool(waits),
        )
    except KeyError as error:
        message = f"the ring of vCPU {vcpu} is damaged: event {kind} with outcome {outcome}"
        raise MonitorError(message) from error
