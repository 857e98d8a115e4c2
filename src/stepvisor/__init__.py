"""Single-step and trace AArch64 guests from the hypervisor.

::

    import stepvisor

    with stepvisor.boot() as guest:
        with guest.trace("vfs_read") as trace:
            guest.run("dd if=/dev/zero of=/dev/null bs=8k count=10")
        for hit in trace:
            print(hit.time, hit.vcpu, hit.symbol, hit.regs.x2)
"""

from stepvisor.errors import (
    GuestConfigError,
    GuestError,
    ImageError,
    InputError,
    MachineError,
    MonitorError,
    ProbeError,
    SetupError,
    StepvisorError,
    SymbolError,
)
from stepvisor.monitor.answers import Answer
from stepvisor.monitor.guest_event import GuestEvent
from stepvisor.monitor.vocabulary import Event, Outcome, View
from stepvisor.trace.ending import Ending
from stepvisor.trace.guest import Guest
from stepvisor.trace.hit import Batch, Hit, Registers
from stepvisor.trace.listener import Listener
from stepvisor.trace.session import boot, start
from stepvisor.trace.shell import Completed
from stepvisor.trace.step import Step
from stepvisor.trace.stepping import Stepping
from stepvisor.trace.summary import Summary
from stepvisor.trace.trace import Trace
from stepvisor.trace.troubles import Trouble

__all__ = (
    "Answer",
    "Batch",
    "Completed",
    "Ending",
    "Event",
    "Guest",
    "GuestConfigError",
    "GuestError",
    "GuestEvent",
    "Hit",
    "ImageError",
    "InputError",
    "Listener",
    "MachineError",
    "MonitorError",
    "Outcome",
    "ProbeError",
    "Registers",
    "SetupError",
    "Step",
    "Stepping",
    "StepvisorError",
    "Summary",
    "SymbolError",
    "Trace",
    "Trouble",
    "View",
    "boot",
    "start",
)
