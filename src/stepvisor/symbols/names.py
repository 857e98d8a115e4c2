"""The name half of kallsyms: token tables, markers and compressed names.

Layouts are those of Linux scripts/kallsyms.c; `stepvisor.symbols.kallsyms` draws them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stepvisor.budget import Budget
from stepvisor.plain import plain_bytes
from stepvisor.symbols.name_list import NameList

__all__ = ("NameTable", "TokenTables", "find_names", "find_token_tables")

_TOKENS: Final = 256
_INDEX_SIZE: Final = 2 * _TOKENS
_JOINED: Final = 1 << 16
"""Tokens at a time: all of them as Python objects would take tens of megabytes."""
_MARKER_STEP: Final = 256
_MARKER_SIZE: Final = 4
_MAX_TOKEN: Final = 512
_MAX_NAME: Final = 1024
_MAX_REGION: Final = 64 << 20
"""Bytes of compressed names: ten times those of the largest kernels."""
_MAX_TEXT: Final = 256 << 20
_JOIN_COST: Final = 32
"""Units of work to expand one token: Python objects are slower than arrays."""
_STEP_COST: Final = 4096
"""Units of work of one step over all blocks, however few they are."""
_BLOCK_COST: Final = 16
_MIN_BLOCK: Final = 2 * _MARKER_STEP
_MAX_BLOCK: Final = 258 * _MARKER_STEP
_MIN_MARKERS: Final = 3
_MARKER_REACH: Final = 24 << 20
_MAX_CANDIDATES: Final = 64

_SEPARATOR: Final = _TOKENS
_NOTHING: Final = _TOKENS + 1

_Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenTables:
    """Where the two token tables are in the Image, and the texts."""

    start: int
    """Offset of kallsyms_token_table."""
    end: int
    """Offset after kallsyms_token_index."""
    tokens: tuple[bytes, ...]
    alignment: int
    """Bytes that every table of this kallsyms is aligned to."""


@dataclass(frozen=True)
class NameTable:
    """Every symbol's type letter and name, in kallsyms order."""

    num_syms: int
    """Offset in the Image of kallsyms_num_syms."""
    tokens_end: int
    """Offset after kallsyms_token_index."""
    names: NameList
    """Printable ASCII: whatever else a name holds is written out as ``\\xNN``."""
    types: str


def find_token_tables(data: bytes, alignment: int, budget: Budget) -> Iterator[TokenTables]:
    """Every place that has the form of the two token tables; kernels hold decoys."""
    words = np.frombuffer(data, "<u2", count=len(data) // 2)
    if len(words) < _TOKENS:
        return
    step = alignment // 2
    first = words[: 1 - _TOKENS : step]
    second = words[1 : len(words) - _TOKENS + 2 : step]
    last = words[_TOKENS - 1 :: step]
    likely = (first == 0) & (second > 0) & (second < _MAX_TOKEN) & (last >= _TOKENS - 1)
    for position in np.flatnonzero(likely)[: 1 << 16] * alignment:
        tables = _token_tables_at(data, int(position), alignment, budget)
        if tables is not None:
            yield tables


def _token_tables_at(data: bytes, index: int, alignment: int, budget: Budget) -> TokenTables | None:
    starts = np.frombuffer(data, "<u2", count=_TOKENS, offset=index).astype(np.int64)
    if not (np.diff(starts) > 0).all():
        return None
    bounds = starts.tolist()
    nearest = index - bounds[-1] - 1
    nearest -= nearest % alignment
    for start in range(nearest, max(nearest - _MAX_TOKEN, 0), -alignment):
        budget.spend(index - start)
        tokens = data[start:index].split(b"\0", _TOKENS)[:_TOKENS]
        if len(tokens) == _TOKENS and _fits(tokens, bounds):
            return TokenTables(start, index + _INDEX_SIZE, tuple(tokens), alignment)
    return None


def _fits(tokens: list[bytes], starts: list[int]) -> bool:
    """Whether each token begins where the index says; none may hold a control character."""
    position = 0
    for token, start in zip(tokens, starts, strict=True):
        if position != start or (token and min(token) < ord(" ")):
            return False
        position += len(token) + 1
    return True


def find_names(data: bytes, tables: TokenTables, budget: Budget) -> NameTable | None:
    """Find markers and names before the token tables and expand all names."""
    for markers, values in _find_markers(data, tables, budget):
        for count in range(len(values), max(len(values) - 3, _MIN_MARKERS - 1), -1):
            for names in _name_starts(data, markers, values[:count], tables.alignment):
                table = _expand(data, names, markers, values[:count], tables, budget)
                if table is not None:
                    return table
    return None


def _find_markers(
    data: bytes, tables: TokenTables, budget: Budget
) -> Iterator[tuple[int, _Integers]]:
    """Offsets of likely marker tables before the tokens, nearest first, and what they may hold."""
    end = tables.start
    begin = max(0, end - _MARKER_REACH)
    begin -= begin % tables.alignment
    budget.spend(end - begin)
    # A view: most of an Image is looked through, and the tables hold no offset of 2 GiB.
    words = np.frombuffer(data, "<i4", count=(end - begin) // 4, offset=begin)
    if len(words) < _MIN_MARKERS:
        return
    plausible = _is_block(np.diff(words))
    heads = (words[:-2] == 0) & plausible[:-1] & plausible[1:]
    if tables.alignment == 2 * _MARKER_SIZE:
        heads[1::2] = False
    for head in np.flatnonzero(heads)[::-1][:_MAX_CANDIDATES].tolist():
        stops = np.flatnonzero(~plausible[head:])
        length = int(stops[0]) + 1 if len(stops) else len(words) - head
        yield begin + head * 4, words[head : head + length].astype(np.int64)


def _is_block(rises: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Whether a distance between two words can be the length of a block of names."""
    return (rises >= _MIN_BLOCK) & (rises <= _MAX_BLOCK)


def _name_starts(data: bytes, markers: int, values: _Integers, alignment: int) -> list[int]:
    """Offsets where names can begin: right after a num_syms that fits the number of markers."""
    last = markers - int(values[-1]) - 1
    first = max(last - _MAX_BLOCK, alignment)
    first += -first % alignment
    if last < first:
        return []
    counts = np.frombuffer(data, "<u4", count=(last - first) // 4 + 1, offset=first - alignment)
    symbols = counts[:: alignment // 4].astype(np.int64)
    fits = (symbols > _MARKER_STEP * (len(values) - 1)) & (symbols <= _MARKER_STEP * len(values))
    return [first + alignment * int(hit) for hit in np.flatnonzero(fits)[:_MAX_CANDIDATES]]


def _expand(
    data: bytes, names: int, markers: int, values: _Integers, tables: TokenTables, budget: Budget
) -> NameTable | None:
    num_syms = names - tables.alignment
    count = int.from_bytes(data[num_syms : num_syms + 4], "little")
    if markers - names > _MAX_REGION:
        return None
    region = np.frombuffer(data, np.uint8, count=markers - names, offset=names)
    for long_lengths in (True, False):
        budget.spend(len(region) + _MARKER_STEP * (_STEP_COST + _BLOCK_COST * len(values)))
        codes = _mark_lengths(region, count, values, long_lengths=long_lengths)
        if codes is None or len(codes) + -len(codes) % tables.alignment != len(region):
            continue
        budget.spend(_JOIN_COST * len(codes))
        found = _split(_join(codes, tables.tokens, count), count)
        if found is not None:
            return NameTable(num_syms, tables.end, *found)
    return None


def _mark_lengths(
    region: npt.NDArray[np.uint8], count: int, values: _Integers, *, long_lengths: bool
) -> npt.NDArray[np.uint16] | None:
    """The token numbers of all names, each name's length replaced by a separator.

    All blocks of 256 names are walked at once. Since Linux 6.1 (commit 73bbb94466fd) a length of
    more than 127 takes two bytes (`long_lengths`), low seven bits first.
    """
    position = values.copy()
    limit = len(region) - 2
    codes = region.astype(np.uint16)
    for step in range(_MARKER_STEP):
        blocks = -(-(count - step) // _MARKER_STEP)
        here = position[:blocks]
        if (here < 0).any() or (here > limit).any():
            return None
        length = region[here].astype(np.int64)
        codes[here] = _SEPARATOR
        if long_lengths and (wide := length > 0x7F).any():
            length[wide] = (length[wide] & 0x7F) | region[here[wide] + 1].astype(np.int64) << 7
            codes[here[wide] + 1] = _NOTHING
            position[:blocks][wide] += 1
        if (length == 0).any():
            return None
        position[:blocks] += length + 1
    whole = bool((position[:-1] == values[1:]).all())
    return codes[: int(position[-1])] if whole else None


def _join(codes: npt.NDArray[np.uint16], tokens: tuple[bytes, ...], count: int) -> bytes:
    """Expand token numbers to text: before each name a newline and its type letter.

    Empty when that would be longer than any kernel's.
    """
    pieces = (*(plain_bytes(token).encode() for token in tokens), b"\n", b"")
    lengths = np.array([len(piece) for piece in pieces], np.uint16)
    if int(lengths[codes].sum(dtype=np.int64)) > min(count * _MAX_NAME, _MAX_TEXT):
        return b""
    joined = bytearray()
    for start in range(0, len(codes), _JOINED):
        joined += b"".join([pieces[code] for code in codes[start : start + _JOINED].tolist()])
    joined += b"\n"
    return bytes(joined)


def _split(joined: bytes, count: int) -> tuple[NameList, str] | None:
    """Names and type letters, None when there are not `count`, each with a letter and a name."""
    text = np.frombuffer(joined, np.uint8)
    newlines = np.flatnonzero(text == ord("\n"))
    if len(newlines) != count + 1 or int(np.diff(newlines).min()) < 3:
        return None
    types = text[newlines[:-1] + 1].tobytes().decode()
    if not types.isalpha():
        return None
    return NameList(joined, (newlines + 2).astype(np.uint32), 2), types
