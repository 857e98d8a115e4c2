"""Read a kernel's own symbol table, kallsyms, out of its Image.

Any arm64 kernel built with CONFIG_KALLSYMS carries it in .rodata. There is no header: the tables
are found by the constraints that hold between them, and a set is taken only when all of them hold.
Linux scripts/kallsyms.c writes them, each aligned to 8 bytes (4 since Linux 7.0), in one of two
orders::

    before Linux 6.4                 since Linux 6.4 (commit 404bad70fcf7)
    offsets                          num_syms
    relative_base                    names
    num_syms                         markers
    names                            token_table
    markers                          token_index
    seqs_of_names (6.2, and 6.1.y)   offsets
    token_table                      relative_base (until 6.19)
    token_index                      seqs_of_names

`names` holds, per symbol, a length and that many token numbers; the first character of the
expanded text is the type as `nm` prints it. `markers` is where every 256th name begins. `offsets`
are 32-bit distances from `relative_base`, or, since Linux 7.0 (commit a081b5789255), from each
entry's own place.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stepvisor.budget import Budget
from stepvisor.errors import SymbolError
from stepvisor.guest.image import KernelImage
from stepvisor.symbols.linkbase import branch_target, guess_link_base, relocated_base
from stepvisor.symbols.name_list import NameList
from stepvisor.symbols.names import NameTable, find_names, find_token_tables

__all__ = ("Kallsyms", "read_kallsyms")

_ALIGNMENTS: Final = (8, 4)
_POINTER: Final = 8
_MAX_TABLES: Final = 64
_SECTION_ALIGNMENT: Final = 2 << 20
_MAX_SPAN: Final = 1 << 30
_KERNEL_HALF: Final = 1 << 63
_WORD: Final = 1 << 64
_WORK: Final = 64
"""Units of work for each byte of an Image; Debian's need 4 or 5."""
_LEAST_WORK: Final = 256 << 20
_MOST_WORK: Final = 8 << 30
# What the branch at the start of an Image leads to: since Linux 5.8, and before.
_ENTRY_NAMES: Final = ("primary_entry", "stext")

_Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Kallsyms:
    """What kallsyms says, in its order (by address)."""

    names: NameList
    types: str
    """One letter per symbol, as `nm` prints it."""
    offsets: _Offsets
    """Distance in bytes from the first byte of the Image (`_text`)."""
    link_base: int
    """Virtual address for which that first byte was linked."""


def read_kallsyms(image: KernelImage) -> Kallsyms:
    """Find and decode kallsyms in a kernel Image.

    :raise SymbolError: When there is none that can be read.
    """
    work = min(_WORK * len(image.data) + _LEAST_WORK, _MOST_WORK)
    budget = Budget(
        work,
        SymbolError(
            f"kernel {image.path}: looking for its symbol table (kallsyms) takes more work than"
            " any real kernel's: refused"
        ),
    )
    for names in _name_tables(image.data, budget):
        budget.spend(2 * len(image.data))
        found = _read_before(image, names) or _read_after(image, names)
        if found is not None:
            return found
    raise SymbolError(
        f"kernel {image.path}: no symbol table (kallsyms) found in it: it was built without "
        "CONFIG_KALLSYMS, is damaged, or is older than Linux 4.20"
    )


def _name_tables(data: bytes, budget: Budget) -> Iterator[NameTable]:
    for alignment in _ALIGNMENTS:
        tables = find_token_tables(data, alignment, budget)
        for tokens in itertools.islice(tables, _MAX_TABLES):
            names = find_names(data, tokens, budget)
            if names is not None:
                yield names


def _read_before(image: KernelImage, names: NameTable) -> Kallsyms | None:
    """The order of before Linux 6.4: offsets, relative_base, then num_syms and names."""
    place = names.num_syms - _POINTER
    start = place - _aligned(4 * len(names.names))
    return _based(image, names, start, place)


def _read_after(image: KernelImage, names: NameTable) -> Kallsyms | None:
    """The order since Linux 6.4: offsets after token_index."""
    start = names.tokens_end
    place = start + _aligned(4 * len(names.names))
    return _based(image, names, start, place) or _place_relative(image, names, start)


def _aligned(size: int) -> int:
    return size + -size % _POINTER


def _read_offsets(image: KernelImage, names: NameTable, start: int, kind: str) -> _Offsets | None:
    count = len(names.names)
    if start < 0 or start + 4 * count > len(image.data):
        return None
    return np.frombuffer(image.data, kind, count=count, offset=start).astype(np.int64)


def _ascending(offsets: _Offsets) -> bool:
    return bool((np.diff(offsets) >= 0).all()) and int(offsets[-1] - offsets[0]) < _MAX_SPAN


def _based(image: KernelImage, names: NameTable, start: int, place: int) -> Kallsyms | None:
    """Offsets from relative_base, the lowest address, which is stored at `place`."""
    offsets = _read_offsets(image, names, start, "<u4")
    if offsets is None or offsets[0] != 0 or not _ascending(offsets):
        return None
    distance = _entry_distance(image, names, offsets)
    base = int.from_bytes(image.data[place : place + _POINTER], "little")
    if base >> 63:
        if distance is None:
            distance = (base - image.text_offset) % _SECTION_ALIGNMENT
        link_base = base - distance
    else:
        found = relocated_base(image.data, place, distance, image.text_offset)
        if found is None:
            return None
        base, link_base = found
    offsets += base - link_base
    return _checked(image, Kallsyms(names.names, names.types, offsets, link_base))


def _checked(image: KernelImage, found: Kallsyms) -> Kallsyms | None:
    """None when the kernel would not fit between its link base and the end of the addresses."""
    size = max(image.image_size, int(found.offsets[-1]))
    return found if _KERNEL_HALF <= found.link_base <= _WORD - size else None


def _entry_distance(image: KernelImage, names: NameTable, offsets: _Offsets) -> int | None:
    """relative_base minus the link base, from the branch at the Image's start."""
    target = branch_target(image.data)
    entries = [place for name in _ENTRY_NAMES for place in names.names.find(name)]
    if target is None or not entries:
        return None
    distance = target - int(offsets[entries[0]])
    return distance if distance >= 0 else None


def _place_relative(image: KernelImage, names: NameTable, start: int) -> Kallsyms | None:
    """Offsets from each entry's own place (Linux 7.0 and later)."""
    offsets = _read_offsets(image, names, start, "<i4")
    if offsets is None:
        return None
    offsets += start + 4 * np.arange(len(offsets))
    if offsets[0] < 0 or not _ascending(offsets):
        return None
    link_base = guess_link_base(image.data, image.image_size, image.text_offset)
    return _checked(image, Kallsyms(names.names, names.types, offsets, link_base))
