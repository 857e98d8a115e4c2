"""What a trace asks of every hit, and the program that answers it."""

from collections.abc import Sequence
from dataclasses import dataclass

from stepvisor.errors import ExpressionError
from stepvisor.monitor.capture import CapturedValue, CaptureLayout, ValueKind
from stepvisor.monitor.program import (
    MAX_CAPTURE,
    MAX_PROGRAM,
    Instruction,
    Opcode,
    Program,
    captured_bytes,
)
from stepvisor.probe.assembler import Assembler, Label
from stepvisor.probe.compile import Compiler
from stepvisor.probe.expression import Node, Text
from stepvisor.probe.parse import SymbolFinder, parse, parse_capture

__all__ = ("HitProgram", "read_program")


@dataclass(frozen=True, slots=True)
class _Part:
    """An expression and its meaning."""

    text: str
    node: Node


@dataclass(frozen=True, slots=True)
class HitProgram:
    """In this order: the predicate decides; counters and histograms count; a record is written."""

    where: Node | None
    capture: tuple[tuple[str, Node | Text], ...]
    """Nothing for a plain record."""
    count: tuple[_Part, ...]
    histograms: tuple[_Part, ...]
    record: bool

    @property
    def layout(self) -> CaptureLayout | None:
        """What a record holds; None when it is a plain one."""
        if not self.capture:
            return None
        return CaptureLayout(tuple(_column(text, node) for text, node in self.capture))

    @property
    def counters(self) -> tuple[str, ...]:
        """Conditions that have a counter, as they were written."""
        return tuple(part.text for part in self.count)

    @property
    def charts(self) -> tuple[str, ...]:
        """Values that have a histogram, as they were written."""
        return tuple(part.text for part in self.histograms)

    def program(self, first_counter: int = 0, first_histogram: int = 0) -> Program:
        """The program of one probe, whose counters and histograms begin at these numbers.

        :raise ExpressionError: When it is longer, or captures more, than the monitor takes.
        """
        out, refused = Assembler(), Label()
        compiler = Compiler(out)
        if self.where is not None:
            compiler.jump_if_false(self.where, refused)
        if not self.record:
            out.put(Opcode.COUNT_PROBE)
        for number, part in enumerate(self.count, first_counter):
            without = Label()
            compiler.jump_if_false(part.node, without)
            out.put(Opcode.COUNT, immediate=number)
            out.place(without)
        for number, part in enumerate(self.histograms, first_histogram):
            compiler.value(part.node)
            out.put(Opcode.HISTOGRAM, immediate=number)
        if self.record:
            for _, node in self.capture:
                compiler.capture(node)
            out.put(Opcode.ACCEPT)
        out.place(refused)
        if out.code[-1].opcode is not Opcode.ACCEPT or self.where is not None:
            out.put(Opcode.REJECT)
        _check(out.code)
        return Program(tuple(out.code))


def read_program(
    *,
    where: str | None = None,
    capture: Sequence[str] = (),
    count: Sequence[str] = (),
    histograms: Sequence[str] = (),
    record: bool = True,
    symbol: SymbolFinder | None = None,
) -> HitProgram | None:
    """What the expressions ask for; None when they ask for nothing but a plain record.

    :raise ExpressionError: When one has no meaning, or they are too many for one program.
    """
    if record and where is None and not (capture or count or histograms):
        return None
    made = HitProgram(
        where=None if where is None else parse(where, symbol),
        capture=tuple((t.strip(), parse_capture(t, symbol)) for t in capture),
        count=tuple(_Part(text.strip(), parse(text, symbol)) for text in count),
        histograms=tuple(_Part(text.strip(), parse(text, symbol)) for text in histograms),
        record=record,
    )
    made.program()
    return made


def _column(text: str, node: Node | Text) -> CapturedValue:
    if isinstance(node, Text):
        return CapturedValue(text, ValueKind.TEXT, node.limit)
    return CapturedValue(text, ValueKind.SIGNED if node.signed else ValueKind.UNSIGNED)


def _check(code: Sequence[Instruction]) -> None:
    if len(code) > MAX_PROGRAM:
        raise ExpressionError(
            f"predicate, counters and captures need {len(code)} instructions of the monitor's"
            f" machine; {MAX_PROGRAM} are possible: ask for less at a time"
        )
    size = sum(captured_bytes(instruction) for instruction in code)
    if size > MAX_CAPTURE:
        raise ExpressionError(
            f"the captured values may need {size} bytes a hit; {MAX_CAPTURE} are possible: give"
            " strings a limit, as in str(x1, 64)"
        )
