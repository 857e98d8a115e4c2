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

_BY_TOP_BYTE = tuple(
    tuple(entry for entry in _DECODERS if (top << 24 ^ entry[1]) & entry[0] >> 24 << 24 == 0)
    for top in range(256)
)
"""What a word may be, by its most significant byte: a kernel has millions of words."""


@functools.lru_cache(maxsize=1 << 16)
def decode(word: int) -> Emulation | None:
    """What a monitor does in place of instruction `word`; None: it must be stepped."""
    for mask, value, decoder in _BY_TOP_BYTE[word >> 24]:
        if word & mask == value:
            return decoder(word)
    return None
