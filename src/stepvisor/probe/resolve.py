"""Where a probe goes: from what the user wrote to an instruction of the kernel's code."""

from dataclasses import dataclass

from stepvisor.errors import ProbeError, SymbolError
from stepvisor.probe.decode import WORD_SIZE
from stepvisor.symbols.modules import SEPARATOR, Module, Modules, symbol_name
from stepvisor.symbols.table import Symbol, SymbolTable

__all__ = ("Target", "in_module", "resolve")


@dataclass(frozen=True, slots=True)
class Target:
    """An instruction of a kernel that need not run yet."""

    label: str
    """Symbol, or symbol+0x10; module:symbol in a module."""
    offset: int
    """Bytes from the Image's first byte, which in the Image is the same wherever it runs."""


def resolve(
    table: SymbolTable,
    text: str,
    running: SymbolTable | None = None,
    modules: Modules | None = None,
) -> Target:
    """What `text` means: ``vfs_read``, ``vfs_read+0x10``, ``name@2``, or an address.

    An address is one of `table`, the kernel as linked, or one of the `running` kernel. What the
    kernel itself does not have may be in one of its `modules`; ``dummy:dummy_xmit`` names one.
    A name as it is given goes before one that the compiler has added to, wherever it is.

    :raise SymbolError: When there is no such symbol, or there are several.
    :raise ProbeError: When no probe can go there.
    """
    text = text.strip()
    if running is None or modules is None:
        return _in_kernel(table, text, running)
    found = _module_of(table, text, modules)
    if found is None:
        try:
            return _in_kernel(table, text, running)
        except SymbolError:
            found = modules.find(text) if _is_address(text) else None
            if found is None:
                raise
    module, place = found
    prefix = f"{module.name}{SEPARATOR}"
    return _target(*_find(module.symbols, place), base=running.link_base, prefix=prefix)


def in_module(target: Target, module: Module, running: SymbolTable) -> Target:
    """A target that was found among the symbols of a module, as one of the running kernel."""
    return Target(
        label=f"{module.name}{SEPARATOR}{target.label}",
        offset=target.offset + module.symbols.link_base - running.link_base,
    )


def _module_of(table: SymbolTable, text: str, modules: Modules) -> tuple[Module, str] | None:
    """The module in which `text` names something; None when the kernel is to be asked."""
    if SEPARATOR in text:
        return modules.find(text)
    name = symbol_name(text)
    if _is_address(text) or name in table:
        return None
    return modules.find(text, clones=not table.clones(name))


def _is_address(text: str) -> bool:
    return text[:2] in {"0x", "0X"}


def _in_kernel(table: SymbolTable, text: str, running: SymbolTable | None) -> Target:
    symbol, offset, base = _find(table, text, running)
    return _target(symbol, offset, base, base=base.link_base)


def _find(
    table: SymbolTable, text: str, running: SymbolTable | None = None
) -> tuple[Symbol, int, SymbolTable]:
    """Symbol, offset, and the table that has it."""
    try:
        return *table.resolve(text), table
    except SymbolError:
        if running is None or not _is_address(text):
            raise
        return *running.resolve(text), running


def _target(
    symbol: Symbol, offset: int, table: SymbolTable, *, base: int, prefix: str = ""
) -> Target:
    """The place, from address `base`, if a probe can go there."""
    name = f"{prefix}{symbol.name}"
    label = f"{name}+{offset:#x}" if offset else name
    address = symbol.address + offset
    if address % WORD_SIZE:
        nearest = offset - address % WORD_SIZE
        message = f"no probe on {label}: instructions are 4 bytes; try {name}+{nearest:#x}"
        raise ProbeError(message)
    if not symbol.is_text or address not in table.text:
        raise ProbeError(f"no probe on {label} ({address:#x}): {_why_not(symbol.is_text)}")
    return Target(label=label, offset=address - base)


def _why_not(is_code: bool) -> str:
    if is_code:
        return "this code is freed after boot, or runs outside the kernel's address space"
    return "this is data, not code; `stepvisor symbols` shows the type of a symbol"
