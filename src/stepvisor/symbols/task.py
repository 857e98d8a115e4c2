"""Where Linux keeps the name of a task."""

from collections.abc import Callable

from stepvisor.errors import SymbolError
from stepvisor.symbols.btf import HEADER_START, Btf
from stepvisor.symbols.table import Symbol, SymbolTable

__all__ = ("COMM_SIZE", "comm_offset")

COMM_SIZE = 16
"""TASK_COMM_LEN: bytes of a task's name, the terminating zero included."""

_FIRST_NAME = b"swapper"
_LARGEST_KERNEL = 1 << 28
_CANDIDATES = 16


def comm_offset(table: SymbolTable, read: Callable[[int, int], bytes]) -> int:
    """Offset of ``comm`` in ``struct task_struct``, from BTF or else from the first task.

    Not every kernel has symbols for its data, so the BTF is found by how it begins.

    :param read: `read(address, size)` gives the kernel's memory at an address of `table`.
    :raise SymbolError: When the kernel does not say.
    """
    kernel = read(table.link_base, min(table.end - table.link_base, _LARGEST_KERNEL))
    position = kernel.find(HEADER_START)
    for _ in range(_CANDIDATES):
        if position < 0:
            break
        try:
            return Btf(kernel[position:]).offset("task_struct", "comm")
        except SymbolError:
            position = kernel.find(HEADER_START, position + 1)
    first = table.get("init_task")
    if first is None:
        raise _unknown()
    return _in_first_task(first, read)


def _in_first_task(task: Symbol, read: Callable[[int, int], bytes]) -> int:
    """The first task of every kernel is called swapper, or swapper/0."""
    data = read(task.address, task.size)
    found = data.find(_FIRST_NAME)
    if found < 0 or data.find(_FIRST_NAME, found + 1) >= 0 or found + COMM_SIZE > len(data):
        raise _unknown()
    return found


def _unknown() -> SymbolError:
    return SymbolError("this kernel does not say where a task's name is: it has no BTF")
