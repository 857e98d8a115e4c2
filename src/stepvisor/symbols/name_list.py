"""Names by number, in one block of memory.

A Python string for each would take 60 bytes and more; here a name takes its length and 5 bytes,
and 12 more once names are looked for.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Final, overload

import numpy as np
import numpy.typing as npt

from stepvisor.plain import plain

__all__ = ("NameList",)

_CHUNK: Final = 1 << 14
"""Names at a time: more of them as Python objects would take more memory than the block."""


class NameList(Sequence[str]):
    """Equal to the tuple of its names in everything but memory."""

    def __init__(self, block: bytes, starts: npt.NDArray[np.uint32], gap: int) -> None:
        """Use `from_texts`, or give the block itself.

        :param block: UTF-8; after each name come a newline and `gap` - 1 more bytes.
        :param starts: Where each name starts, and where the next one would.
        """
        self._block = block
        self._starts = starts
        self._gap = gap

    @classmethod
    def from_texts(cls, names: Sequence[str]) -> "NameList":
        """Make one; what is not printable in a name is written out."""
        block = "".join(f"{plain(name)}\n" for name in names).encode()
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
        return cls(block, np.append(0, ends + 1).astype(np.uint32), 1)

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        start, after = self._starts[place : place + 2].tolist()
        return self._block[start : after - self._gap].decode()

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            last = min(first + _CHUNK, len(self))
            begin, end = int(self._starts[first]), int(self._starts[last]) - self._gap
            lines = self._block[begin:end].decode().split("\n")
            skipped = self._gap - 1
            yield lines[0]
            yield from (line[skipped:] for line in lines[1:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self._block)

    def find(self, name: str) -> list[int]:
        """Every number of `name`, ascending."""
        hashes, order = self._index
        wanted = np.int64(hash(name))
        first, last = (int(np.searchsorted(hashes, wanted, side)) for side in ("left", "right"))
        return [place for place in order[first:last].tolist() if self[place] == name]

    @functools.cached_property
    def _index(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]:
        """The hashes of all names, ascending, and the numbers of the names that have them."""
        hashes = np.fromiter(map(hash, self), np.int64, len(self))
        order = np.argsort(hashes, kind="stable").astype(np.uint32)
        return hashes[order], order
