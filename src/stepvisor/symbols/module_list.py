"""The running kernel's list of modules.

Its head is the kernel's variable `modules`. A kernel that has no symbols for its data does not say
where that is; then it is found by what it must be: somewhere in the kernel's data there is the head
of a list that closes, and whose entries look like modules.

The guest is not trusted and goes on meanwhile: whatever is read is checked, every loop has an end,
and a list that changes under our eyes is read again.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from stepvisor.symbols.kaslr import ReadPhysical
from stepvisor.symbols.module_layout import NAME_SIZE, ModuleLayout
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.virtual import VirtualMemory

__all__ = ("REACH", "find_head", "list_modules", "module_name")

REACH: Final = 4 << 30
"""Bytes from a module to the kernel at most: its code reaches both with ADRP."""

_HEAD: Final = "modules"
_MAX_MODULES: Final = 1024
_MAX_CANDIDATES: Final = 4096
_MAX_LIKELY: Final = 16
_PIECE: Final = 4 << 20
_POINTER: Final = 8
_LAST_STATE: Final = 3
_NAME: Final = re.compile(rb"[\w.,+-]+", re.ASCII)


def find_head(
    read_physical: ReadPhysical,
    physical_base: int,
    running: SymbolTable,
    memory: VirtualMemory,
    layout: ModuleLayout,
) -> int | None:
    """Address of the list's head; None when it is not found, and then there is no module.

    :param physical_base: Physical address of the kernel's first byte.
    :param running: The running kernel's symbols.
    """
    named = running.get(_HEAD)
    if named is not None and not named.is_text:
        return named.address
    likely = (
        candidate
        for candidate in _candidates(read_physical, physical_base, running)
        if _begins(memory, layout, candidate)
    )
    for candidate in itertools.islice(likely, _MAX_LIKELY):
        found = list_modules(memory, layout, candidate)
        if found and all(module_name(memory, layout, address) for address in found):
            return candidate
    return None


def _begins(memory: VirtualMemory, layout: ModuleLayout, head: int) -> bool:
    """Whether the first entry of the list looks like a module, and is the first."""
    entry = memory.integer(head)
    if entry is None or memory.integer(entry + _POINTER) != head:
        return False
    return bool(module_name(memory, layout, entry - layout.list))


def list_modules(memory: VirtualMemory, layout: ModuleLayout, head: int) -> list[int] | None:
    """The address of each struct module, None when the list does not close."""
    found: list[int] = []
    previous, entry = head, memory.integer(head)
    while entry != head:
        if entry is None or entry % _POINTER or len(found) == _MAX_MODULES:
            return None
        if memory.integer(entry + _POINTER) != previous:
            return None
        found.append(entry - layout.list)
        previous, entry = entry, memory.integer(entry)
    return found


def module_name(memory: VirtualMemory, layout: ModuleLayout, address: int) -> str:
    """Its name; empty when what is there cannot be a module."""
    state = memory.integer(address + layout.state, 4)
    name, end, _ = memory.read(address + layout.name, NAME_SIZE).partition(b"\0")
    if state is None or state > _LAST_STATE or not end or not _NAME.fullmatch(name):
        return ""
    return name.decode("ascii")


def _candidates(
    read_physical: ReadPhysical, physical_base: int, running: SymbolTable
) -> Iterator[int]:
    """Where in the kernel's data two pointers to where modules are follow each other."""
    start, end = running.text.stop - running.link_base, running.end - running.link_base
    left = _MAX_CANDIDATES
    for offset in range(start & -_POINTER, end, _PIECE):
        size = min(_PIECE + _POINTER, end - offset)
        raw = read_physical(physical_base + offset, size)
        words = np.frombuffer(raw, "<u8", count=len(raw) // _POINTER)
        near = (words - np.uint64(running.link_base - REACH) < np.uint64(2 * REACH)) & (
            words % np.uint64(_POINTER) == 0
        )
        near &= words - np.uint64(running.link_base) >= np.uint64(end)
        for index in np.flatnonzero(near[:-1] & near[1:])[:left].tolist():
            left -= 1
            yield running.link_base + offset + index * _POINTER
