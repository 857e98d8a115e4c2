"""Where a probe goes: from what the user wrote to an instruction of the kernel's code."""

from dataclasses import dataclass

from stepvisor.errors import ProbeError, SymbolError
from stepvisor.probe.decode import WORD_SIZE
from stepvisor.symbols.table import SymbolTable

__all__ = ("Target", "resolve")


@dataclass(frozen=True, slots=True)
class Target:
    """An instruction of a kernel that need not run yet."""

    label: str
    """Symbol, or symbol+0x10."""
    offset: int
    """Bytes from the Image's first byte, which is the same wherever the kernel runs."""


def resolve(table: SymbolTable, text: str, running: SymbolTable | None = None) -> Target:
    """What `text` means: ``vfs_read``, ``vfs_read+0x10``, ``name@2``, or an address.

    An address is one of `table`, the kernel as linked, or one of the `running` kernel.

    :raise SymbolError: When there is no such symbol, or there are several.
    :raise ProbeError: When no probe can go there.
    """
    text = text.strip()
    try:
        symbol, offset = table.resolve(text)
        base = table
    except SymbolError:
        if running is None or not text.lower().startswith("0x"):
            raise
        symbol, offset = running.resolve(text)
        base = running
    label = f"{symbol.name}+{offset:#x}" if offset else symbol.name
    address = symbol.address + offset
    if address % WORD_SIZE:
        nearest = offset - address % WORD_SIZE
        message = f"no probe on {label}: instructions are 4 bytes; try {symbol.name}+{nearest:#x}"
        raise ProbeError(message)
    if not symbol.is_text or address not in base.text:
        raise ProbeError(f"no probe on {label} ({address:#x}): {_why_not(symbol.is_text)}")
    return Target(label=label, offset=address - base.link_base)


def _why_not(is_code: bool) -> str:
    if is_code:
        return "this code is freed after boot, or runs outside the kernel's address space"
    return "this is data, not code; `stepvisor symbols` shows the type of a symbol"
