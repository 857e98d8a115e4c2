"""The code of a running guest's modules: where it is, what it is called."""

from collections.abc import Callable
from typing import Final

from stepvisor.errors import ProbeError, StepvisorError, SymbolError
from stepvisor.probe.place import Stretch
from stepvisor.symbols.btf import find_btf
from stepvisor.symbols.kaslr import ReadPhysical
from stepvisor.symbols.module_layout import ModuleLayout, read_layout
from stepvisor.symbols.module_list import find_head
from stepvisor.symbols.module_reader import read_modules
from stepvisor.symbols.modules import Module, Modules
from stepvisor.symbols.table import Symbol, SymbolTable
from stepvisor.symbols.virtual import UPPER_HALF, VirtualMemory

__all__ = ("CodeNames", "ModuleFinder", "module_code")

_LARGEST_KERNEL: Final = 1 << 28
_PAGE_BITS: Final = 12
_MAX_LOOKS: Final = 64


class ModuleFinder:
    """Reads the modules of one guest; how its kernel keeps them is found out once."""

    def __init__(self, read_physical: ReadPhysical, physical_base: int) -> None:
        """`physical_base` is where the kernel's Image is."""
        self._read_physical = read_physical
        self._physical_base = physical_base
        self._layout: ModuleLayout | None = None
        self._head: int | None = None

    def read(self, running: SymbolTable, memory: VirtualMemory) -> tuple[Module, ...]:
        """Those that are loaded now.

        :raise SymbolError: When the kernel does not say where they are.
        """
        if self._layout is None:
            self._layout = self._find_layout(running)
        if self._head is None:
            self._head = find_head(
                self._read_physical, self._physical_base, running, memory, self._layout
            )
        if self._head is None:
            return ()
        return read_modules(memory, self._layout, self._head, running.link_base)

    def _find_layout(self, running: SymbolTable) -> ModuleLayout:
        size = min(running.end - running.link_base, _LARGEST_KERNEL)
        btf = find_btf(self._read_physical(self._physical_base, size))
        if btf is None:
            raise SymbolError("this kernel does not say where its modules are: it has no BTF")
        return read_layout(btf)


def module_code(
    modules: Modules, memory: Callable[[], VirtualMemory], base: int
) -> Callable[[int], Stretch | None]:
    """Gives the code of the module that an offset from address `base` lies in."""

    def find(offset: int) -> Stretch | None:
        owner = modules.owner(base + offset)
        if owner is None or base + offset not in owner.code:
            return None
        return _stretch(owner, memory(), base)

    return find


def _stretch(module: Module, memory: VirtualMemory, base: int) -> Stretch:
    gone = f"no probe in module {module.name}: its code is not mapped any more; was it unloaded?"

    def read(offset: int, size: int) -> bytes:
        found = memory.read(base + offset, size)
        if len(found) < size:
            raise ProbeError(gone)
        return found

    def physical(offset: int) -> int:
        found = memory.physical(base + offset)
        if found is None:
            raise ProbeError(gone)
        return found

    text = range(module.code.start - base, module.code.stop - base)
    return Stretch(text, read, physical)


class CodeNames:
    """Names of code, in the kernel and in modules that come and go."""

    def __init__(self, kernel: SymbolTable, modules: Callable[[], Modules]) -> None:
        """`modules` gives those that are loaded at that moment."""
        self._kernel = kernel
        self._modules = modules
        self._now = Modules()
        self._seen: set[int] = set()

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that `address` belongs to and the distance from it, None if it is unknown.

        The modules are looked at again when a page turns up that is not known: a few times only.
        """
        found = self._kernel.at(address) or self._now.at(address)
        page = address >> _PAGE_BITS
        if found is not None or not address & UPPER_HALF or page in self._seen:
            return found
        if len(self._seen) == _MAX_LOOKS:
            return None
        self._seen.add(page)
        try:
            self._now = self._modules()
            return self._now.at(address)
        except StepvisorError:
            return None  # the guest has ended: its steps can be read all the same
