"""The modules that a guest has loaded: their functions by name, by pattern, by address."""

import fnmatch
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stepvisor.errors import SymbolError
from stepvisor.symbols.near import near_names
from stepvisor.symbols.table import Symbol, SymbolTable

__all__ = ("SEPARATOR", "Module", "Modules", "symbol_name")

SEPARATOR: Final = ":"
"""Between the name of a module and that of its symbol; no symbol of C has one."""

_NAME: Final = re.compile(r"[^+@\s]+")
_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Module:
    """One module as it is loaded."""

    name: str
    code: range
    """Addresses of its code that stays; what only initialises it lies in another area."""
    areas: tuple[range, ...]
    """All of its memory."""
    symbols: SymbolTable
    """Its own names, at the addresses where they are; `text` is its code."""
    sizes: Mapping[int, int]
    """Bytes of what begins at an address, where its symbols tell."""

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that `address` belongs to, called `module:name`, and the distance from it.

        None outside the module. What lies between its symbols, such as the stubs of calls that lead
        far away, is called as the module, and counts from the start of that area.
        """
        area = next((area for area in self.areas if address in area), None)
        if area is None:
            return None
        found = self.symbols.at(address)
        if found is None or not self._holds(area, *found):
            return Symbol(self.name, area.start, len(area), "t"), address - area.start
        symbol, offset = found
        return replace(symbol, name=f"{self.name}{SEPARATOR}{symbol.name}"), offset

    def _holds(self, area: range, symbol: Symbol, offset: int) -> bool:
        return symbol.address in area and offset < self.sizes.get(symbol.address, len(area))


class Modules:
    """Those that are loaded, read from the guest when the first question is asked."""

    def __init__(self, read: Callable[[], Sequence[Module]] = tuple) -> None:
        """`read` gives them; a SymbolError of it is raised to those who ask for a module."""
        self._read = read
        self._trouble: SymbolError | None = None

    @functools.cached_property
    def all(self) -> tuple[Module, ...]:
        """As the kernel's list has them, the latest first; none when they cannot be read."""
        try:
            return tuple(self._read())
        except SymbolError as error:
            self._trouble = error
            return ()

    def owner(self, address: int) -> Module | None:
        """The module to whose memory `address` belongs."""
        return next((m for m in self.all if any(address in area for area in m.areas)), None)

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that `address` belongs to, called `module:name`, and the distance from it."""
        owner = self.owner(address)
        return None if owner is None else owner.at(address)

    def find(self, text: str, *, clones: bool = True) -> tuple[Module, str] | None:
        """The module that `text` is about, and what it says of it; None when no module is meant.

        `module:name`, or a name alone that one module has, or an address.

        :param clones: Whether the name alone may be that of a function that the compiler renamed.
        :raise SymbolError: When there is no such module, or several have the name.
        """
        if text[:2] in {"0x", "0X"}:
            owner = self.owner(_address(text))
            return None if owner is None else (owner, text)
        module, separator, rest = text.partition(SEPARATOR)
        if separator:
            return self._called(module), rest
        name = symbol_name(text)
        owners = [each for each in self.all if name in each.symbols]
        if clones and not owners:
            owners = [each for each in self.all if each.symbols.clones(name)]
        if len(owners) > 1:
            raise _ambiguous(text, owners)
        return (owners[0], text) if owners else None

    def fitting(self, pattern: str) -> Iterator[tuple[Module, str]]:
        """Each module that the first part of `module:name` fits, with the second part."""
        module, _, rest = pattern.partition(SEPARATOR)
        fits = re.compile(fnmatch.translate(_canonical(module))).match
        return ((each, rest) for each in self.all if fits(each.name))

    def _called(self, name: str) -> Module:
        for module in self.all:
            if module.name == _canonical(name):
                return module
        if self._trouble is not None:
            raise self._trouble
        names = [module.name for module in self.all]
        near = near_names(name, names)
        hint = f": did you mean {', '.join(near)}?" if near else _list(names)
        raise SymbolError(f"no module {name!r} is loaded in the guest{hint}", near)


def symbol_name(text: str) -> str:
    """The name in `name`, `name@2` and `name+0x10`; empty when there is none."""
    name = _NAME.match(text)
    return "" if name is None else name[0]


def _canonical(name: str) -> str:
    """A file's name may have dashes, a module's has none (Linux scripts/Makefile.lib)."""
    return name.strip().replace("-", "_")


def _address(text: str) -> int:
    number, _, offset = text.partition("+")
    try:
        return int(number, 16) + int(offset or "0", 0)
    except ValueError:
        return 0  # what is wrong with it is said by who reads it


def _list(names: Sequence[str]) -> str:
    if not names:
        return ", nor any other: load it before it is probed (--setup)"
    more = ", ..." if len(names) > _SHOWN else ""
    return f": there are {', '.join(sorted(names)[:_SHOWN])}{more}"


def _ambiguous(text: str, owners: Sequence[Module]) -> SymbolError:
    shown = tuple(f"{module.name}{SEPARATOR}{text}" for module in owners)
    return SymbolError(
        f"symbol {text!r} is ambiguous: there are {', '.join(shown[:_SHOWN])}", shown
    )
