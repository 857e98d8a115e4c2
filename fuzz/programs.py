"""What probes ask of a hit: a record, a count, a count and perhaps a record, captured values."""

import random
from dataclasses import dataclass

from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.program import Instruction, Opcode, Program
from stepvisor.probe.program import HitProgram, read_program

__all__ = ("CAPTURE", "Programs")

_COUNT = Instruction(Opcode.COUNT_PROBE)


def _read(where: str | None = None, capture: tuple[str, ...] = ()) -> HitProgram:
    program = read_program(where=where, capture=capture)
    assert program is not None
    return program


CAPTURE = _read(capture=("x1", "u64[x0]"))
"""The only program that captures."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Those of one guest, by the monitor's numbers."""

    counting: frozenset[int]
    """Whose hits the monitor counts by slot; of all others there are records."""
    recording: frozenset[int]

    @classmethod
    def load(cls, monitor: El2Monitor) -> "Programs":
        """All of them."""
        only_counted = (_COUNT, Instruction(Opcode.REJECT))
        predicate = (_COUNT, *_read(where="x1 >= 128").program().code)
        counting = [monitor.load_program(Program(code)) for code in (only_counted, predicate)]
        recording = (0, monitor.load_program(CAPTURE.program()))
        return cls(frozenset(counting), frozenset(recording))

    def draw(self, source: random.Random) -> int:
        """One of them: mostly a plain record."""
        return source.choice([0, 0, *sorted(self.recording | self.counting)])
