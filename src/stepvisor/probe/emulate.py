"""Which instructions a monitor can perform itself, and how: A64 word to operation and operands.

Only those that leave the same state as native execution, whatever the state was; where that depends
on the state (memory that a load reads, what PACIASP signs), the monitor steps instead.
"""

import functools

from stepvisor.monitor.emulation import Emulation
from stepvisor.probe import emulate_control, emulate_immediate, emulate_register

__all__ = ("decode",)

_DECODERS = (
    *emulate_immediate.DECODERS,
    *emulate_register.DECODERS,
    *emulate_control.DECODERS,
)


@functools.lru_cache(maxsize=1 << 16)
def decode(word: int) -> Emulation | None:
    """What a monitor does in place of instruction `word`; None: it must be stepped."""
    for mask, value, decoder in _DECODERS:
        if word & mask == value:
            return decoder(word)
    return None
