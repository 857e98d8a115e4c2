"""Which pages of the running kernel take indirect branches to landing pads only."""

from collections.abc import Callable

from stepvisor.monitor.registers import CpuRegisters
from stepvisor.symbols.kaslr import walk

__all__ = ("GuardedPages",)

_PAGE_BITS = 12


class GuardedPages:
    """Looks each page up once; registers are read when the first one is asked for."""

    def __init__(
        self, read_cpu: Callable[[], CpuRegisters], read_physical: Callable[[int, int], bytes]
    ) -> None:
        self._read_cpu = read_cpu
        self._read_physical = read_physical
        self._cpu: CpuRegisters | None = None
        self._known: dict[int, bool] = {}

    def __call__(self, address: int) -> bool:
        """Whether the page at a virtual address is guarded."""
        page = address >> _PAGE_BITS
        if page not in self._known:
            self._known[page] = self._look(address)
        return self._known[page]

    def _look(self, address: int) -> bool:
        if self._cpu is None:
            self._cpu = self._read_cpu()
        mapping = walk(self._read_physical, self._cpu.ttbr1, self._cpu.tcr, address)
        return mapping is not None and mapping.guarded
