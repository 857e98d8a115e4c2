"""Whether probed code is still where it was: a module's code goes with its module."""

import itertools
from collections.abc import Callable, Container, Iterable

from stepvisor.monitor.interface import ProbeRequest
from stepvisor.symbols.virtual import VirtualMemory

__all__ = ("CodeWatch",)


class CodeWatch:
    """Looks where the guest's page tables map the code under probes."""

    def __init__(
        self,
        probes: Iterable[ProbeRequest],
        stays: Container[int],
        memory: Callable[[], VirtualMemory],
    ) -> None:
        """`stays` are the addresses of code that never goes; `memory` is as it is mapped then."""
        self._watched = [probe for probe in probes if probe.va not in stays]
        self._memory = memory

    def gone(self) -> list[ProbeRequest]:
        """Those whose code has gone since the last call."""
        if not self._watched:
            return []
        memory = self._memory()
        mapped = [memory.physical(probe.va) == probe.ipa for probe in self._watched]
        gone = [probe for probe, there in zip(self._watched, mapped, strict=True) if not there]
        self._watched = list(itertools.compress(self._watched, mapped))
        return gone
