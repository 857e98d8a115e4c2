"""What a hypervisor must offer to be tested.

Another one is put under the suite by implementing :class:`Target`: load the guest, read and write
its memory, and step whatever vCPU passes a place until it passes another one. Probes are optional.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from stepvisor.arch.aarch32 import InstructionSet

__all__ = ("Interrupts", "Place", "ProbeCounts", "Target", "Trap", "Way")


class Interrupts(enum.Enum):
    """What stepping does when the guest takes an interrupt."""

    STEP = "go on through the handler"
    STEP_ASIDE = "let the handler run freely and go on when it is done"


class Trap(enum.Enum):
    """What stands in for an instruction that is probed."""

    CALL = "SMC, which code at EL1 has"
    BREAKPOINT = "BRK, which all code has; BKPT in AArch32"


class Way(enum.Enum):
    """How an instruction under a probe is run."""

    PERFORMED = "the hypervisor performs it, at EL1, whatever the state is"
    DEPENDS = "by the state, it is performed or stepped"
    STEPPED = "it is stepped"


@dataclass(frozen=True, slots=True)
class Place:
    """An instruction to be probed."""

    address: int
    """Physical."""
    virtual: int
    word: int
    trap: Trap
    instruction_set: InstructionSet = InstructionSet.A64


@dataclass(frozen=True, slots=True)
class ProbeCounts:
    """What probes have come to."""

    hits: NDArray[np.int64]
    """Of each place, in the order of planting."""
    performed: int
    stepped: int
    """How the displaced instructions ran."""
    wrong: int
    """Steps that ended where they cannot lead, records that were lost."""


class Target(Protocol):
    """A guest under the hypervisor that is to be tested. A context manager."""

    def __enter__(self) -> Self:
        """Closed on exit."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""

    def load(self, image: bytes) -> None:
        """Start the image at 0x4800_0000, at EL1."""

    def read(self, address: int, size: int) -> bytes:
        """Guest memory by physical address."""

    def write(self, address: int, data: bytes) -> None:
        """Guest memory by physical address; data only, never what the guest will execute."""

    def check(self) -> None:
        """Raise when the guest or its hypervisor is no longer there, else nothing."""

    def step_between(self, pairs: dict[int, int]) -> None:
        """Whenever a vCPU comes to a key it is stepped from there until it comes to any value."""

    def set_interrupts(self, interrupts: Interrupts) -> None:
        """For what is stepped from now on."""

    def report_calls(self, *, on: bool) -> None:
        """Whether an HVC of the guest is reported (and returns), or undefined."""

    @property
    def stepped(self) -> int:
        """Instructions stepped up to now, over all vCPUs."""

    @property
    def probes(self) -> int:
        """How many may be planted at a time; 0 for a hypervisor that has none."""

    def plant(self, places: Sequence[Place]) -> list[Way]:
        """Probe these instructions, and say how each will be run."""

    def take_counts(self) -> ProbeCounts:
        """What they have come to since they were planted, or since the last call."""

    def remove(self) -> None:
        """Take all probes away again."""
