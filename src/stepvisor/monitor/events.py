"""What comes out of the rings."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.monitor.capture import RawCaptures

__all__ = ("EVENT_DTYPE", "HIT_DTYPE", "Drained", "Lost", "Notice", "ProbeChanged", "ProbeGone")

HIT_DTYPE = wire.RECORD_HIT
"""One hit: fields ``vcpu``, ``slot``, ``sequence`` (per vCPU), ``ticks`` (counter), ``pc`` and
``x`` (x0 upwards); the array is the ring's own format, so that draining is one copy."""

EVENT_DTYPE = wire.RECORD_EVENT
"""One event, with the fields of :class:`stepvisor.monitor.guest_event.GuestEvent` (``event`` for
its kind), ``ticks`` instead of the time, in the ring's own format."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is not a hit."""

    vcpu: int
    slot: int
    """Probe concerned, 0 for none."""
    ticks: int
    """Counter."""
    pc: int


@dataclass(frozen=True, slots=True)
class Lost(Notice):
    """A full ring dropped records right before this point."""

    lost: int


@dataclass(frozen=True, slots=True)
class ProbeChanged(Notice):
    """The guest rewrote the probed instruction."""

    old: int
    new: int
    kept: bool = False
    """Whether the probe is still armed, and the new instruction is stepped; else it is gone."""


@dataclass(frozen=True, slots=True)
class ProbeGone(Notice):
    """The probed code has gone, as that of an unloaded module does; the probe is disarmed."""


@dataclass(slots=True)
class Drained:
    """One round over the rings."""

    hits: list[NDArray[np.void]] = field(default_factory=list)
    """Arrays of :data:`HIT_DTYPE`, each of one vCPU and in its order."""
    notices: list[Notice] = field(default_factory=list)
    events: list[NDArray[np.void]] = field(default_factory=list)
    """Arrays of :data:`EVENT_DTYPE`, each of one vCPU and in its order."""
    captures: list[RawCaptures] = field(default_factory=list)
    """Hits of probes with a program."""

    def __bool__(self) -> bool:
        """Whether anything came."""
        return bool(self.hits or self.notices or self.events or self.captures)
