"""The registers of one vCPU."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ("CpuRegisters",)


@dataclass(frozen=True, slots=True)
class CpuRegisters:
    """One vCPU, as its guest has it. Names are the architecture's."""

    x: tuple[int, ...]
    """x0 to x30."""
    pc: int
    pstate: int
    sp_el0: int
    sp_el1: int
    ttbr0: int
    ttbr1: int
    tcr: int
    sctlr: int
    vbar: int
    mair: int
    vcpu: int
    elr_el1: int
    spsr_el1: int
    esr_el1: int
    far_el1: int
    tpidr_el1: int
    contextidr: int
    tpidr_el0: int
    ticks: int
    """Counter at that moment."""

    @classmethod
    def from_record(cls, record: NDArray[np.void]) -> "CpuRegisters":
        """From one element of dtype ``wire.CPU_REGISTERS``, in an array of length 1."""
        x = tuple(int(value) for value in record["x"][0])
        rest = {f.name: int(record[f.name][0]) for f in fields(cls) if f.name != "x"}
        return cls(x=x, **rest)
