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
from stepvisor.trace.guest import Guest
from stepvisor.trace.hit import Batch, Hit, Registers
from stepvisor.trace.session import boot
from stepvisor.trace.shell import Completed
from stepvisor.trace.trace import Summary, Trace

__all__ = (
    "Batch",
    "Completed",
    "Guest",
    "GuestConfigError",
    "GuestError",
    "Hit",
    "ImageError",
    "InputError",
    "MachineError",
    "MonitorError",
    "ProbeError",
    "Registers",
    "SetupError",
    "StepvisorError",
    "Summary",
    "SymbolError",
    "Trace",
    "boot",
)
