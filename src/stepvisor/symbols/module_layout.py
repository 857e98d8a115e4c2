"""Where a kernel keeps what it knows of a module: the members of its struct module.

Linux include/linux/module.h. Until Linux 6.3 a module's memory are two areas, one of which is freed
once it has been initialised, and each begins with its code; since 6.4 there is one area for each
kind of contents (commit ac3b43283923).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stepvisor.errors import SymbolError
from stepvisor.symbols.btf import Btf

__all__ = ("NAME_SIZE", "AreaLayout", "ModuleLayout", "read_layout")

_MAX_SIZE: Final = 1 << 14
_MAX_AREAS: Final = 16
_POINTER: Final = 8
NAME_SIZE: Final = 56
"""MODULE_NAME_LEN of a 64-bit kernel."""


@dataclass(frozen=True, slots=True)
class AreaLayout:
    """Offsets from the start of struct module of the members that tell one area."""

    base: int
    """Of the area's address."""
    size: int
    """Of its size in bytes."""
    code: int | None
    """Of how many bytes of code it begins with; None for an area without code."""


@dataclass(frozen=True, slots=True)
class ModuleLayout:
    """Offsets of members of struct module, and of the struct mod_kallsyms that it points to."""

    state: int
    list: int
    name: int
    kallsyms: int
    areas: tuple[AreaLayout, ...]
    symtab: int
    num_symtab: int
    strtab: int
    typetab: int

    @property
    def size(self) -> int:
        """Bytes of struct module that hold all of these members."""
        areas = [offset for area in self.areas for offset in (area.base, area.size)]
        ends = (self.state, self.list + _POINTER, self.name + NAME_SIZE, self.kallsyms, *areas)
        return max(ends) + _POINTER

    @property
    def table_size(self) -> int:
        """Bytes of struct mod_kallsyms that hold all of its members."""
        return max(self.symtab, self.num_symtab, self.strtab, self.typetab) + _POINTER


def read_layout(btf: Btf) -> ModuleLayout:
    """Find the members.

    :raise SymbolError: When this kernel's structures are not like those of any that is known.
    """
    layout = ModuleLayout(
        state=btf.offset("module", "state"),
        list=btf.offset("module", "list"),
        name=btf.offset("module", "name"),
        kallsyms=btf.offset("module", "kallsyms"),
        areas=tuple(_areas(btf)),
        symtab=btf.offset("mod_kallsyms", "symtab"),
        num_symtab=btf.offset("mod_kallsyms", "num_symtab"),
        strtab=btf.offset("mod_kallsyms", "strtab"),
        typetab=btf.offset("mod_kallsyms", "typetab"),
    )
    if layout.size > _MAX_SIZE or layout.table_size > _MAX_SIZE:
        raise SymbolError("the kernel's BTF is damaged: a struct module of impossible size")
    return layout


def _areas(btf: Btf) -> Iterator[AreaLayout]:
    try:
        start, stride = btf.offset("module", "mem"), btf.size("module_memory")
    except SymbolError:
        yield _whole(btf, "core_layout")
        yield _whole(btf, "init_layout")
        return
    base, size = (btf.offset("module_memory", member) for member in ("base", "size"))
    code = {btf.enumerator("MOD_TEXT"), btf.enumerator("MOD_INIT_TEXT")}
    for kind in range(min(_MAX_AREAS, btf.enumerator("MOD_MEM_NUM_TYPES"))):
        place = start + stride * kind
        yield AreaLayout(place + base, place + size, place + size if kind in code else None)


def _whole(btf: Btf, member: str) -> AreaLayout:
    """An area of before Linux 6.4: code, constants and data one after the other."""
    start = btf.offset("module", member)
    base, size, code = (btf.offset("module_layout", name) for name in ("base", "size", "text_size"))
    return AreaLayout(start + base, start + size, start + code)
