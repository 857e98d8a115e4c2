"""What the user writes after ``-e``.

::

    vfs_read                 a symbol
    vfs_read+0x10            an instruction in it
    0xffff800080123456       a link-time or run-time address
"""

import re
from dataclasses import dataclass

from stepvisor.errors import ProbeError

__all__ = ("ProbeSpec", "parse")

_SYMBOL = re.compile(
    r"(?P<name>[A-Za-z_.$][\w.$]*)(?:\s*\+\s*(?P<offset>0[xX][0-9a-fA-F]{1,16}|\d{1,18}))?",
    re.ASCII,
)
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{1,16}")


@dataclass(frozen=True, slots=True)
class ProbeSpec:
    """One probe as written: a symbol with an offset, or an address."""

    text: str
    """What the user wrote."""
    name: str | None
    """Symbol, None for an address."""
    offset: int
    """Bytes from the symbol, or the address itself."""


def parse(text: str) -> ProbeSpec:
    """Understand one probe.

    :raise ProbeError: When it is none.
    """
    stripped = text.strip()
    if _ADDRESS.fullmatch(stripped):
        return ProbeSpec(text=stripped, name=None, offset=int(stripped, 16))
    match = _SYMBOL.fullmatch(stripped)
    if match is None:
        message = (
            f"{text!r} is not a probe; write a symbol, symbol+0x10, or an address 0xffff..."
        )
        raise ProbeError(message)
    return ProbeSpec(text=stripped, name=match["name"], offset=int(match["offset"] or "0", 0))
