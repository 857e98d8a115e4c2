"""The symbols of a kernel: by name, by pattern, by address.

Addresses are virtual. A table read from an Image has the addresses that the kernel was linked for;
`SymbolTable.rebased` gives those of the running kernel once its base is known
(`stepvisor.symbols.kaslr`).
"""

import fnmatch
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stepvisor.errors import SymbolError
from stepvisor.guest.image import KernelImage
from stepvisor.symbols.kallsyms import read_kallsyms
from stepvisor.symbols.name_list import NameList
from stepvisor.symbols.near import near_names
from stepvisor.symbols.suffix import is_clone

__all__ = ("Symbol", "SymbolTable")

_TEXT_TYPES: Final = frozenset("tTwW")
_SHOWN_DUPLICATES: Final = 8
_NUMBERED: Final = re.compile(r"(?P<name>.+)@(?P<number>[0-9]{1,6})")
_EXPRESSION: Final = re.compile(
    r"(?P<symbol>[^+\s]+)(?:\+(?P<offset>0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18}))?"
)
_ADDRESS: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
# Symbols that the linker script puts at the edge of a section, at the address of a real one.
_MARKER: Final = re.compile(
    r"_+(?:[a-z0-9_]*_)?(?:start|end|begin)|_[se](?:init)?(?:text|data)|_text"
)
_ALIAS_PREFIX: Final = "__pi_"
_MOST_ALIASES: Final = 64
"""Names for one address among which the best one is looked for."""
_PAST_ADDRESSES: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name for an address."""

    name: str
    address: int
    """Virtual address of the first byte."""
    size: int
    """Bytes up to the next symbol: an upper bound, alignment padding included."""
    type: str
    """Letter as `nm` prints it: t or T for code, d, D, r, R, b, B for data, ..."""

    @property
    def is_text(self) -> bool:
        """Whether it names code."""
        return self.type in _TEXT_TYPES


class SymbolTable:
    """All symbols of a kernel, ordered by address."""

    def __init__(
        self,
        names: Sequence[str],
        types: str,
        addresses: npt.NDArray[np.uint64],
        link_base: int,
        end: int,
        *,
        owner: str = "the kernel",
        text: range | None = None,
    ) -> None:
        """Use `SymbolTable.from_image`.

        :param addresses: Ascending, as many as there are names.
        :param end: Address after the last byte of the kernel, .bss included.
        :param owner: Whose symbols they are, for messages.
        :param text: Addresses of the permanent code, where symbols do not tell.
        """
        self._names = names if isinstance(names, NameList) else NameList.from_texts(names)
        self._types = types
        self._addresses = addresses
        self.link_base = link_base
        """Virtual address of the Image's first byte (`_text`)."""
        self.end = min(end, _PAST_ADDRESSES)
        """Virtual address after the kernel's last byte, .bss included."""
        self._owner = owner
        self._text = text

    @classmethod
    def from_image(cls, image: KernelImage) -> "SymbolTable":
        """Read the symbols of a kernel Image.

        :raise SymbolError: When it has none that can be read.
        """
        found = read_kallsyms(image)
        addresses = found.offsets.view(np.uint64)
        addresses += np.uint64(found.link_base)
        return cls(
            found.names, found.types, addresses, found.link_base, found.link_base + image.image_size
        )

    def rebased(self, base: int) -> "SymbolTable":
        """Return the same symbols in a kernel whose first byte is at virtual address `base`."""
        slide = base - self.link_base
        moved = self._addresses + np.uint64(slide % (1 << 64))
        return SymbolTable(self._names, self._types, moved, base, self.end + slide)

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Symbol]:
        return (self._symbol(index) for index in range(len(self)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._names.find(name))

    def all(self, name: str) -> tuple[Symbol, ...]:
        """Every symbol called `name`, by address; none when there is no such symbol."""
        return tuple(self._symbol(index) for index in self._names.find(name))

    def get(self, name: str) -> Symbol | None:
        """Return the symbol called `name` when there is exactly one, else None."""
        found = _distinct(self.all(name))
        return found[0] if len(found) == 1 else None

    def lookup(self, name: str) -> Symbol:
        """Return the one symbol called `name`; `name@2` is the second of several, by address.

        Names for one and the same address are not ambiguous, and of code and data with one name
        the code is meant. Where nothing is called so, a function that the compiler has renamed
        (`name.isra.0`) is meant.

        :raise SymbolError: When there is none (`near` holds similar names) or several.
        """
        found = _distinct(self.all(name))
        if not found and (numbered := _NUMBERED.fullmatch(name)):
            return self._numbered(numbered["name"], int(numbered["number"]))
        code = tuple(symbol for symbol in found if symbol.is_text)
        meant = code or found or self.clones(name)
        if not meant:
            raise self._unknown(name)
        if len(meant) > 1:
            raise self._ambiguous(name, meant)
        return meant[0]

    def clones(self, name: str) -> tuple[Symbol, ...]:
        """Every function that is `name` with what compilers add (`name.isra.0`), by address."""
        if not name:
            return ()
        found = (index for index, each in enumerate(self._names) if is_clone(each, name))
        return _distinct([one for one in map(self._symbol, found) if one.is_text])

    def numbered_name(self, symbol: Symbol) -> str:
        """The name, as `name@2` when there are several of it."""
        same = [other.address for other in _distinct(self.all(symbol.name))]
        if len(same) == 1:
            return symbol.name
        return f"{symbol.name}@{same.index(symbol.address) + 1}"

    def resolve(self, expression: str) -> tuple[Symbol, int]:
        """Return symbol and offset that an expression means.

        `name`, `name@2`, `name+0x10`, or an address `0xffff...`.

        :raise SymbolError: When it has another form or means nothing in this kernel.
        """
        match = _EXPRESSION.fullmatch(expression)
        if match is None:
            raise SymbolError(
                f"symbol {expression!r}: write NAME, NAME+OFFSET, NAME@NUMBER or 0xADDRESS"
            )
        offset = _number(match["offset"] or "0")
        if _ADDRESS.fullmatch(match["symbol"]):
            address = int(match["symbol"], 16) + offset
            found = self.at(address)
            if found is None:
                raise SymbolError(
                    f"address {address:#x} is not in the kernel, which is linked for "
                    f"{self.link_base:#x} to {self.end:#x}"
                )
            return found
        symbol = self.lookup(match["symbol"])
        if offset >= max(symbol.size, 1):
            raise SymbolError(
                f"symbol {expression!r}: {symbol.name} has {symbol.size:#x} bytes only: "
                "give a smaller offset"
            )
        return symbol, offset

    def match(self, pattern: str) -> tuple[Symbol, ...]:
        """Every symbol whose name fits a shell pattern (`vfs_*`), by address; often none."""
        matcher = re.compile(fnmatch.translate(pattern)).match
        return tuple(self._symbol(index) for index, name in enumerate(self._names) if matcher(name))

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """Return the symbol that `address` belongs to and the distance from it.

        None outside the kernel. Of several names for an address the one a person would use is
        given: not a section's edge, not an alias.
        """
        if not len(self) or not int(self._addresses[0]) <= address < self.end:
            return None
        last = int(np.searchsorted(self._addresses, np.uint64(address), side="right")) - 1
        first = int(np.searchsorted(self._addresses, self._addresses[last], side="left"))
        first = max(first, last + 1 - _MOST_ALIASES)
        best = min(range(first, last + 1), key=lambda index: _awkwardness(self._names[index]))
        symbol = self._symbol(best)
        return symbol, address - symbol.address

    @functools.cached_property
    def text(self) -> range:
        """Addresses of the kernel's permanent code; code that is freed after boot lies outside."""
        if self._text is not None:
            return self._text
        start, end = self.get("_stext"), self.get("_etext")
        if start is not None and end is not None and start.address < end.address:
            return range(start.address, end.address)
        code = [letter for letter in _TEXT_TYPES if letter in self._types]
        if not code:
            return range(self.link_base, self.link_base)
        first = min(self._types.index(letter) for letter in code)
        last = self._symbol(max(self._types.rindex(letter) for letter in code))
        return range(int(self._addresses[first]), last.address + last.size)

    @functools.cached_property
    def _ends(self) -> npt.NDArray[np.uint64]:
        """For each symbol the next higher address of a symbol, or the kernel's end."""
        following = np.searchsorted(self._addresses, self._addresses, side="right")
        end = np.uint64(min(self.end, _PAST_ADDRESSES - 1))
        return np.append(self._addresses, end)[following]

    def _symbol(self, index: int) -> Symbol:
        address = int(self._addresses[index])
        size = max(0, int(self._ends[index]) - address)
        return Symbol(self._names[index], address, size, self._types[index])

    def _numbered(self, name: str, number: int) -> Symbol:
        found = _distinct(self.all(name))
        if not found:
            raise self._unknown(name)
        if not 1 <= number <= len(found):
            raise SymbolError(
                f"symbol '{name}@{number}': {self._owner} has {len(found)} of that name"
            )
        return found[number - 1]

    def _ambiguous(self, name: str, found: Sequence[Symbol]) -> SymbolError:
        labels = tuple(self.numbered_name(symbol) for symbol in found)
        places = ", ".join(
            f"{label} at {symbol.address:#x}"
            for label, symbol in zip(labels[:_SHOWN_DUPLICATES], found, strict=False)
        )
        more = ", ..." if len(found) > _SHOWN_DUPLICATES else ""
        message = (
            f"symbol {name!r} is ambiguous: {self._owner} has {len(found)} of it: {places}{more}"
        )
        return SymbolError(message, labels)

    def _unknown(self, name: str) -> SymbolError:
        near = near_names(name, self._names)
        hint = f": did you mean {', '.join(near)}?" if near else ""
        return SymbolError(f"{self._owner} has no symbol {name!r}{hint}", near)


def _number(text: str) -> int:
    return int(text, 16 if text[:2] in {"0x", "0X"} else 10)


def _distinct(symbols: Sequence[Symbol]) -> tuple[Symbol, ...]:
    """One symbol for each address."""
    return tuple({symbol.address: symbol for symbol in reversed(symbols)}.values())[::-1]


def _awkwardness(name: str) -> tuple[bool, bool, int]:
    underscores = len(name) - len(name.lstrip("_"))
    return _MARKER.fullmatch(name) is not None, name.startswith(_ALIAS_PREFIX), underscores
