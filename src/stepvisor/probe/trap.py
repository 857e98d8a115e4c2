"""What is planted for a probe: SMC, or BRK where an SMC would not be reached.

Where a page is guarded (Arm ARM, "Branch Target Identification", the GP bit of a descriptor) an
indirect branch may only lead to a landing pad. SMC is none; BRK is compatible with every BTYPE.
At EL0 SMC is undefined, and the guest's kernel would be told, not the hypervisor.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from stepvisor.errors import InputError, ProbeError
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.monitor.vocabulary import Trap

__all__ = ("is_landing_pad", "parse_trap", "planted")

_LANDING_PADS = frozenset(
    {
        0xD503_241F,  # BTI
        0xD503_245F,  # BTI c
        0xD503_249F,  # BTI j
        0xD503_24DF,  # BTI jc
        0xD503_233F,  # PACIASP
        0xD503_237F,  # PACIBSP
    }
)


_OFFERED = {"smc": Trap.SMC, "brk": Trap.BRK}
_AARCH32 = frozenset({Trap.BKPT_A32, Trap.BKPT_T32})

_UPPER_HALF = 1 << 55
"""Selects TTBR1_EL1, where kernels keep their own half of the address space."""


def is_landing_pad(word: int) -> bool:
    """Whether an indirect branch may lead to this instruction on a guarded page."""
    return word in _LANDING_PADS


def parse_trap(text: str | None) -> Trap | None:
    """What a user insists on: "smc", "brk" or None.

    :raise InputError: When it is something else.
    """
    if text is None:
        return None
    if text.lower() not in _OFFERED:
        names = ", ".join(repr(name) for name in _OFFERED)
        raise InputError(f"{text!r} cannot be planted; choose {names}")
    return _OFFERED[text.lower()]


def planted(
    requests: Iterable[ProbeRequest], guarded: Callable[[int], bool], forced: Trap | None
) -> tuple[ProbeRequest, ...]:
    """The same requests, with what is to be planted for each.

    :param guarded: Whether the page of a virtual address is.
    :raise ProbeError: When SMC is forced where user code runs.
    """
    return tuple(replace(request, trap=_trap(request, guarded, forced)) for request in requests)


def _trap(request: ProbeRequest, guarded: Callable[[int], bool], forced: Trap | None) -> Trap:
    if request.trap in _AARCH32:
        return request.trap
    if not request.va & _UPPER_HALF:
        if forced is Trap.SMC:
            message = (
                f"no probe on {request.label} ({request.va:#x}): SMC is undefined at EL0, where"
                " this code runs; plant BRK there"
            )
            raise ProbeError(message)
        return Trap.BRK
    if forced is not None:
        return forced
    return Trap.BRK if is_landing_pad(request.word) and guarded(request.va) else Trap.SMC
