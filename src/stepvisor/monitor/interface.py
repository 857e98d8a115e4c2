"""What a hypervisor offers to a tracer.

Another hypervisor (KVM on an arm64 host, Xen through its own monitor events) becomes usable by
implementing :class:`Backend`. The vocabulary is the project's: probe, slot, plan, hit, ring.
"""

import enum
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from stepvisor.monitor.answers import Answer, AnswerAction
from stepvisor.monitor.emulation import Emulation
from stepvisor.monitor.events import Drained
from stepvisor.monitor.guest_event import Clock
from stepvisor.monitor.program import Program
from stepvisor.monitor.registers import CpuRegisters
from stepvisor.monitor.tally import Tallies
from stepvisor.monitor.vocabulary import (
    NO_STEP_OPTIONS,
    Action,
    Event,
    StepEnd,
    StepOption,
    TaskFilter,
    Trap,
)

__all__ = (
    "Action",
    "Backend",
    "Capabilities",
    "Event",
    "Plan",
    "Policy",
    "PoolUse",
    "ProbeRequest",
    "Progress",
    "StepEnd",
    "StepOption",
    "TaskFilter",
    "Trap",
    "VcpuCounters",
)


class Plan(enum.Enum):
    """How a displaced instruction runs, and where it may lead."""

    STEP_LINEAR = "to the next instruction, or to a synchronous exception vector"
    STEP_BRANCH_IMMEDIATE = "also to a target encoded in the instruction"
    STEP_BRANCH_REGISTER = "to the address in a register"
    STEP_OTHER = "anywhere: an exception return or an instruction that traps"
    EMULATE = "the hypervisor performs it, or steps it where the state at a hit asks for that"


class Policy(enum.Enum):
    """What happens when a ring is full."""

    BLOCK = "block"
    """The vCPU waits with its clock stopped; nothing is lost."""
    DROP = "drop"
    """The record is dropped and counted in the stream."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Limits of a backend."""

    vcpus: int
    probes: int
    """Probes that may be armed at a time."""
    hit_registers: int
    """General registers in a hit, from x0."""
    policies: frozenset[Policy]
    events: frozenset[Event] = frozenset()
    """What :meth:`Backend.set_events` takes."""
    answers: frozenset[AnswerAction] = frozenset()
    """What a synchronous event can be answered with."""
    step_options: StepOption = NO_STEP_OPTIONS


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """One probe to arm."""

    slot: int
    """The number that its hits carry, 1 to `Capabilities.probes`."""
    va: int
    """Guest virtual address of the instruction."""
    ipa: int
    """Its guest physical address."""
    word: int
    """The instruction that is expected there."""
    plan: Plan
    label: str
    """What the user calls it, for messages."""
    action: Action = Action.RECORD
    trap: Trap = Trap.SMC
    emulation: Emulation | None = None
    """What to perform: needed for Plan.EMULATE."""
    program: int = 0
    """What :meth:`Backend.load_program` gave, 0 for a record of the first registers."""

    def __post_init__(self) -> None:
        """Nobody can perform an instruction that was not decoded."""
        assert self.plan is not Plan.EMULATE or self.emulation is not None, self.label


Progress = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """Pages of 4 KiB that the hypervisor uses for probes, of those that it has."""

    used: int
    pages: int


@dataclass(frozen=True, slots=True)
class VcpuCounters:
    """What one vCPU has done so far; `blocked_ticks` in counter ticks, the rest are counts."""

    online: int
    exits: int
    hits: int
    steps: int
    steps_to_vector: int
    derailed: int
    """Steps that ended in an interrupt vector: must stay 0."""
    astray: int
    """Steps that ended where the instruction cannot lead: must stay 0."""
    held: int
    reflected: int
    data_steps: int
    data_reads: int
    interrupts: int
    overflows: int
    blocked_ticks: int
    lost: int
    trace_steps: int = 0
    """Instructions stepped one after the other."""
    exclusives: int = 0
    """Store-exclusives that the hypervisor performed, as one that is stepped always fails."""
    events: int = 0
    """But for steps that took the short way."""
    unanswered: int = 0
    """Synchronous events that got no answer in time."""
    emulated: int = 0
    """Displaced instructions that the hypervisor performed."""
    rejected: int = 0
    """Hits of which a program wanted no record."""


class Backend(Protocol):
    """A running guest that can be probed. Every method may raise :class:`MonitorError`."""

    @property
    def capabilities(self) -> Capabilities:
        """Limits."""

    @property
    def frequency(self) -> int:
        """Ticks per second of the counter in events."""

    @property
    def clock(self) -> Clock:
        """Counter values as guest time."""

    @property
    def start_ticks(self) -> int:
        """The counter at the guest's first instruction."""

    @property
    def user_ticks(self) -> int:
        """The counter when user space was first seen, 0 until then."""

    def check(self) -> None:
        """Raise when the guest or its hypervisor is no longer there, else nothing."""

    def arm(self, probes: Sequence[ProbeRequest], progress: Progress | None = None) -> None:
        """Arm all of `probes`, or none. Many are armed piece by piece.

        :raise ProbeError: When one of them cannot be armed; the message names it.
        """

    def disarm(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Disarm; their hits up to now stay readable. Those that the guest had ended before."""

    def load_program(self, program: Program) -> int:
        """The number by which :class:`ProbeRequest` names `program` from now on."""

    @property
    def tallies(self) -> Tallies:
        """What programs count."""

    @property
    def memory(self) -> PoolUse:
        """What the armed probes take."""

    def configure_step(
        self,
        options: StepOption,
        end: StepEnd = StepEnd(),  # noqa: B008 - immutable
        task: TaskFilter | None = None,
        pace: int = 0,
    ) -> None:
        """How stepping goes that starts from now on, and when it ends by itself.

        `pace` is how many instructions run, besides one, before another interrupt is delivered: at
        a thousandth of its speed a guest would do nothing but take its timer's interrupts.
        """

    def set_user_tables(self, offset: int) -> None:
        """Where a task's structure has its TTBR0_EL1 while the kernel runs; 0 for nowhere.

        A kernel that keeps user memory out of its own reach needs this for captures of it.
        """

    def set_stepping(self, vcpus: AbstractSet[int] | None, *, on: bool) -> None:
        """Step these vCPUs (None: all) from where they are, or let them run.

        Both may be repeated; what is on stays on, what is off stays off.
        """

    def set_events(
        self,
        events: AbstractSet[Event],
        *,
        vcpus: AbstractSet[int] | None = None,
        synchronous: AbstractSet[Event] = frozenset(),
        timeout: float = 1.0,
    ) -> None:
        """Report exactly these, of these vCPUs (None: of all).

        A vCPU waits at those of them that are `synchronous` for :meth:`answer`, at most `timeout`
        seconds, which is one value for all vCPUs.
        """

    def answer(self, vcpu: int, sequence: int, answer: Answer) -> None:
        """Let a vCPU go on that waits at the event `sequence`; no other one is disturbed."""

    def listen(self, *, on: bool) -> None:
        """Whether events are kept for :meth:`drain_events`; those before are thrown away."""

    def drain_events(self) -> Drained:
        """Events and notices since the last call; empty when there are none."""

    def set_paused(self, paused: bool) -> None:
        """Make the guest stand still, or go on. Commands work meanwhile. Both may be repeated."""

    def set_policy(self, policy: Policy) -> None:
        """What happens when a ring is full, from now on."""

    def drain(self) -> Drained:
        """Hits and notices since the last call; empty when there is nothing."""

    def read_cpu(self) -> CpuRegisters:
        """Registers of whichever vCPU answers first, as its guest has them at that moment."""

    def counters(self) -> tuple[VcpuCounters, ...]:
        """Of each vCPU."""

    def read_physical(self, address: int, size: int) -> bytes:
        """Guest memory by physical address."""
