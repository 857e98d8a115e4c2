"""The words of the monitor interface: events, outcomes of a step, what a hit does, how to step."""

import enum
from dataclasses import dataclass

from stepvisor._gen import wire

__all__ = (
    "Action",
    "Event",
    "Outcome",
    "StepEnd",
    "StepOption",
    "TaskFilter",
    "Trap",
    "Until",
    "View",
)


class Event(enum.IntEnum):
    """What a guest can be watched for."""

    SINGLESTEP = wire.Event.SINGLESTEP
    """An instruction was stepped; see :class:`Outcome`."""
    PRIVILEGED_CALL = wire.Event.PRIVILEGED_CALL
    """An SMC of the guest's own, as for PSCI. Before it is carried out."""
    SOFTWARE_BREAKPOINT = wire.Event.SOFTWARE_BREAKPOINT
    """A BRK of the guest's own. Before the guest gets its exception."""
    HARDWARE_BREAKPOINT = wire.Event.HARDWARE_BREAKPOINT
    """A breakpoint that the guest set. Before the guest gets its exception."""
    GUEST_REQUEST = wire.Event.GUEST_REQUEST
    """An HVC: the guest calls the hypervisor. The PC is past it already."""


class Outcome(enum.IntEnum):
    """How a step came to the PC in its event."""

    STARTED = wire.Outcome.STARTED
    """Stepping begins here; no instruction has run."""
    STEPPED = wire.Outcome.STEPPED
    """One instruction ran."""
    EXCEPTION = wire.Outcome.EXCEPTION
    """The instruction took a synchronous exception; the PC is the vector."""
    INTERRUPT = wire.Outcome.INTERRUPT
    """An interrupt was delivered between two instructions; the PC is the vector."""
    EMULATED = wire.Outcome.EMULATED
    """The monitor performed the instruction, because it traps to EL2."""
    RESUMED = wire.Outcome.RESUMED
    """Back where stepping was left, after an interrupt or a function that is stepped over."""
    STOPPED = wire.Outcome.STOPPED
    """Stepping ended here; no instruction has run since the event before."""
    TASK_ENDED = wire.Outcome.TASK_ENDED
    """The task that was stepped ends here, and stepping with it."""
    VCPU_OFF = wire.Outcome.VCPU_OFF
    """The vCPU goes off here (PSCI). Stepping of what runs on it ends; that of the vCPU itself goes
    on with its first instruction when it comes back."""


class Action(enum.IntEnum):
    """What a probe's hit does."""

    RECORD = wire.Action.RECORD
    STEP_START = wire.Action.STEP_START
    STEP_STOP = wire.Action.STEP_STOP
    STEP_OVER = wire.Action.STEP_OVER
    """A vCPU that steps runs freely until the function returns."""
    TASK_END = wire.Action.TASK_END
    """The task that runs ends: so does stepping of its context, wherever that waits."""
    TASK_FREE = wire.Action.TASK_FREE
    """The same for the task whose structure is at x0, as it is about to be freed."""


class Trap(enum.IntEnum):
    """What is planted for a probe."""

    SMC = wire.Trap.SMC
    BRK = wire.Trap.BRK
    """Where SMC cannot serve: EL0 code, and BTI landing pads of guarded pages."""
    BKPT_A32 = wire.Trap.BKPT_A32
    """In A32 code, which is at EL0. A hit means that it was reached, whatever its condition."""
    BKPT_T32 = wire.Trap.BKPT_T32
    """In T32 code, likewise."""


class Until(enum.IntEnum):
    """When stepping ends by itself."""

    NEVER = wire.Until.NEVER
    RETURN = wire.Until.RETURN
    """At the address in x30, with the stack pointer as at the start."""
    ADDRESS = wire.Until.ADDRESS


class View(enum.IntEnum):
    """What a vCPU sees where probes are armed."""

    PROBED = wire.View.PROBED
    PRISTINE = wire.View.PRISTINE
    """The guest's own code: no probe is hit."""


class StepOption(enum.IntFlag):
    """How vCPUs are stepped."""

    SILENT = wire.StepOption.SILENT
    """No records: for measurements."""
    EL0 = wire.StepOption.EL0
    """Records of user code, too; it is stepped in any case."""
    INTERRUPTS = wire.StepOption.INTERRUPTS
    """Through the handlers of interrupts, too; else they run freely, and stepping resumes then."""
    ONCE = wire.StepOption.ONCE
    """The first hit that may start stepping does, and no other one."""


NO_STEP_OPTIONS = StepOption(0)


@dataclass(frozen=True, slots=True)
class StepEnd:
    """When stepping ends by itself."""

    until: Until = Until.NEVER
    address: int = 0
    """Of Until.ADDRESS."""
    limit: int = 0
    """Instructions at most, 0 for any number."""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Only hits with `name` at SP_EL0 + `offset` start stepping."""

    offset: int
    name: bytes
    """16 bytes at most; zeros follow."""
