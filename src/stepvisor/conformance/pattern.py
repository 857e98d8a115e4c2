"""Encodings, declared as text: which bits are fixed, what the others are, and how to choose them.

An encoding is 32 characters, most significant bit first: ``0`` and ``1`` are fixed, each letter is
a field. A letter may appear in several places; its bits are then taken from the top. What a letter
stands for:

====  ==========================================================================
d e   a general register that is written
E     an even one of those, its neighbour is written, too
n m a a general register that is read, 31 included
T     an even one of those
b     a register that points into memory
x     a register that holds a small number, to be added to such a pointer
else  any bits: immediates, sizes, options, vector registers
====  ==========================================================================
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from stepvisor.conformance.features import ALWAYS, Feature

__all__ = ("Fields", "Instruction", "Registers")

Fields: TypeAlias = Mapping[str, int]
"""Value of each field by its letter."""

_SP_OR_ZERO = 31
_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Registers:
    """What the general registers of one case are for."""

    pointers: tuple[int, ...] = ()
    """Point into memory; 31 is the stack pointer. Never written but by write-back."""
    indexes: tuple[int, ...] = ()
    """Hold small numbers; never written."""
    written: tuple[int, ...] = tuple(range(32))
    """May be written."""

    @classmethod
    def choose(cls, random: Random, pointers: int, indexes: int) -> "Registers":
        """Distinct random ones; the stack pointer is one of the pointers if there are any."""
        chosen = random.sample(range(31), max(pointers - 1, 0) + indexes)
        taken = {*chosen, *((31,) if pointers else ())}
        return cls(
            pointers=(*chosen[: max(pointers - 1, 0)], 31) if pointers else (),
            indexes=tuple(chosen[max(pointers - 1, 0) :]),
            written=tuple(r for r in range(32) if r not in taken),
        )


def _written(random: Random, registers: Registers) -> int:
    return random.choice(registers.written)


def _even_written(random: Random, registers: Registers) -> int:
    good = registers.written
    return random.choice([r for r in good if r % 2 == 0 and r + 1 in good])


_KINDS: dict[str, Callable[[Random, Registers], int]] = {
    "d": _written,
    "e": _written,
    "E": _even_written,
    "n": lambda random, _: random.getrandbits(5),
    "m": lambda random, _: random.getrandbits(5),
    "a": lambda random, _: random.getrandbits(5),
    "T": lambda random, _: random.randrange(0, 30, 2),
    "b": lambda random, registers: random.choice(registers.pointers),
    "x": lambda random, registers: random.choice(registers.indexes),
}


@dataclass(frozen=True)
class Instruction:
    """A family of encodings."""

    mnemonics: str
    """Words that a disassembler without aliases may print for it."""
    bits: str
    """The encoding, see above; blanks do not count."""
    where: Callable[[Fields], bool] | None = None
    """Which combinations of field values are allocated."""
    needs: Feature = ALWAYS
    limits: Mapping[str, int] = field(default_factory=dict)
    """Fields that stay below a number."""

    def __post_init__(self) -> None:
        """Take the text apart."""
        bits = self.bits.replace(" ", "")
        if len(bits) != 32:
            raise ValueError(f"{self.mnemonics}: {len(bits)} bits")
        fixed = int("".join(c if c == "1" else "0" for c in bits), 2)
        places: dict[str, list[int]] = {}
        for position, letter in enumerate(bits):
            if letter not in "01":
                places.setdefault(letter, []).append(31 - position)
        object.__setattr__(self, "_fixed", fixed)
        object.__setattr__(self, "_places", places)

    @property
    def mask(self) -> int:
        """Which bits are fixed."""
        places: dict[str, list[int]] = self._places  # type: ignore[attr-defined] # set above
        return 0xFFFF_FFFF & ~sum(1 << bit for bits in places.values() for bit in bits)

    def draw(self, random: Random, registers: Registers) -> int:
        """One random encoding of the family."""
        for _ in range(_TRIES):
            fields = self._draw_fields(random, registers)
            if self.where is None or self.where(fields):
                return self.encode(fields)
        raise ValueError(f"{self.mnemonics}: no combination of fields is allocated")

    def encode(self, fields: Fields) -> int:
        """The encoding with these field values."""
        places: dict[str, list[int]] = self._places  # type: ignore[attr-defined] # set above
        word: int = self._fixed  # type: ignore[attr-defined] # likewise
        for letter, bits in places.items():
            value = fields[letter]
            low = bits[-1]
            if bits[0] - low == len(bits) - 1:
                word |= value << low
                continue
            for i, bit in enumerate(reversed(bits)):
                word |= (value >> i & 1) << bit
        return word

    def _draw_fields(self, random: Random, registers: Registers) -> Fields:
        places: dict[str, list[int]] = self._places  # type: ignore[attr-defined] # set above
        fields = {}
        for letter, bits in places.items():
            kind = _KINDS.get(letter)
            if kind is not None and len(bits) == 5:
                fields[letter] = kind(random, registers)
            elif letter in self.limits:
                fields[letter] = random.randrange(self.limits[letter])
            else:
                fields[letter] = random.getrandbits(len(bits))
        return fields
