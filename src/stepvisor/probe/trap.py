"""What is planted for a probe: SMC, or BRK where an SMC would not be reached.

Where a page is guarded (Arm ARM, "Branch Target Identification", the GP bit of a descriptor) an
indirect branch may only lead to a landing pad. SMC is none; BRK is compatible with every BTYPE.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from stepvisor.errors import InputError
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


def is_landing_pad(word: int) -> bool:
    """Whether an indirect branch may lead to this instruction on a guarded page."""
    return word in _LANDING_PADS


def parse_trap(text: str | None) -> Trap | None:
    """What a user insists on: "smc", "brk" or None.

    :raise InputError: When it is something else.
    """
    if text is None:
        return None
    try:
        return Trap[text.upper()]
    except KeyError:
        names = ", ".join(repr(trap.name.lower()) for trap in Trap)
        raise InputError(f"{text!r} cannot be planted; choose {names}") from None


def planted(
    requests: Iterable[ProbeRequest], guarded: Callable[[int], bool], forced: Trap | None
) -> tuple[ProbeRequest, ...]:
    """The same requests, with what is to be planted for each.

    :param guarded: Whether the page of a virtual address is.
    """
    return tuple(
        replace(request, trap=_trap(request, guarded) if forced is None else forced)
        for request in requests
    )


def _trap(request: ProbeRequest, guarded: Callable[[int], bool]) -> Trap:
    if is_landing_pad(request.word) and guarded(request.va):
        return Trap.BRK
    return Trap.SMC
