"""What a running Linux kernel keeps of a task, and where.

Everything is found from the first task, `init_task`: by its symbol, or, where the kernel has none
for its data, by what it holds.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from stepvisor.errors import SymbolError
from stepvisor.symbols.btf import HEADER_START, Btf
from stepvisor.symbols.table import SymbolTable

__all__ = ("COMM_SIZE", "FirstTask", "comm_offset", "find_first_task", "user_tables_offset")

COMM_SIZE = 16
"""TASK_COMM_LEN: bytes of a task's name, the terminating zero included."""

_FIRST_NAME = b"swapper"
_LARGEST_KERNEL = 1 << 28
_LARGEST_TASK = 1 << 14
_CANDIDATES = 16
_MOST_NAMES = 256
"""Places that are looked around for the first task: a guest can have its name all over."""
_ALIGNMENT = 64
_WORD = 8
_SELF_POINTERS = 3
"""The first task is its own parent, its own real parent, and the leader of its group."""
_PAGE = 4096
_SAVED_TTBR0 = (8, 16)
"""Where `struct thread_info`, with which a task begins, can have it: behind the flags, and before
5.11 behind the limit of addresses, too."""


@dataclass(frozen=True, slots=True)
class FirstTask:
    """The kernel's memory from its first byte, and two places in it."""

    kernel: bytes
    task: int
    """Offset of `init_task`."""
    comm: int
    """Offset in a task of its name."""


def comm_offset(
    table: SymbolTable, read: Callable[[int, int], bytes], base: int | None = None
) -> int:
    """Offset of ``comm`` in ``struct task_struct``, from BTF or else from the first task.

    Not every kernel has symbols for its data, so the BTF is found by how it begins.

    :param read: `read(address, size)` gives the kernel's memory at an address of `table`.
    :param base: Where the running kernel's first byte is, None before it runs.
    :raise SymbolError: When the kernel does not say.
    """
    kernel = _read_all(table, read)
    position = kernel.find(HEADER_START)
    for _ in range(_CANDIDATES):
        if position < 0:
            break
        try:
            return Btf(kernel[position:]).offset("task_struct", "comm")
        except SymbolError:
            position = kernel.find(HEADER_START, position + 1)
    first = find_first_task(table, kernel, base)
    if first is None:
        message = "this kernel does not say where a task's name is: it has no BTF"
        raise SymbolError(message)
    return first.comm


def user_tables_offset(
    table: SymbolTable, read: Callable[[int, int], bytes], base: int, physical: int
) -> int:
    """Offset in ``struct task_struct`` of the TTBR0_EL1 to be used for its user memory.

    0 when the kernel keeps none. The first task has no user memory: what it has there is the
    physical address of an empty table in the kernel itself.

    :param physical: Physical address of the kernel's first byte.
    """
    kernel = _read_all(table, read)
    first = find_first_task(table, kernel, base)
    for offset in _SAVED_TTBR0 if first is not None else ():
        assert first is not None
        place = first.task + offset
        page = int.from_bytes(kernel[place : place + _WORD], "little") - physical
        inside = 0 < page <= len(kernel) - _PAGE and page % _PAGE == 0
        if inside and not any(kernel[page : page + _PAGE]):
            return offset
    return 0


def find_first_task(table: SymbolTable, kernel: bytes, base: int | None) -> FirstTask | None:
    """The task of the kernel's own beginning, None when that is not clear."""
    symbol = table.get("init_task")
    if symbol is not None:
        start = symbol.address - table.link_base
        names = list(_names(kernel, start, start + symbol.size))
        return FirstTask(kernel, start, names[0] - start) if len(names) == 1 else None
    if base is None:
        return None
    likely = itertools.islice(_names(kernel, 0, len(kernel)), _MOST_NAMES)
    starts = {name: _pointed_start(kernel, base, name) for name in likely}
    found = [(start, name) for name, start in starts.items() if start is not None]
    if len(found) != 1:
        return None
    [(start, name)] = found
    return FirstTask(kernel, start, name - start)


def _read_all(table: SymbolTable, read: Callable[[int, int], bytes]) -> bytes:
    return read(table.link_base, min(table.end - table.link_base, _LARGEST_KERNEL))


def _names(kernel: bytes, start: int, end: int) -> Iterator[int]:
    """Where the first task's name may be: swapper, or swapper/0, and nothing behind it."""
    position = kernel.find(_FIRST_NAME, start, end)
    while position >= 0:
        name = kernel[position : position + COMM_SIZE].rstrip(b"\0")
        if name in {_FIRST_NAME, _FIRST_NAME + b"/0"} and position + COMM_SIZE <= end:
            yield position
        position = kernel.find(_FIRST_NAME, position + 1, end)


def _pointed_start(kernel: bytes, base: int, name: int) -> int | None:
    """Offset of the structure that `name` is in and that points to itself often enough."""
    low = max(name - _LARGEST_TASK, 0) // _WORD * _WORD
    words = np.frombuffer(kernel[low : name // _WORD * _WORD], "<u8")
    values, counts = np.unique(words[words % _ALIGNMENT == 0], return_counts=True)
    for value in values[counts >= _SELF_POINTERS].tolist():
        start = value - base
        if low <= start < name:
            inside = words[(start - low) // _WORD :]
            if int((inside == value).sum()) >= _SELF_POINTERS:
                return int(start)
    return None
