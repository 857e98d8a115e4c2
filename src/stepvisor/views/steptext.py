"""Steps as lines for people."""

from stepvisor.analysis.steps import StepCount
from stepvisor.arch.sysreg import Esr
from stepvisor.monitor.vocabulary import Outcome
from stepvisor.trace.step import Step
from stepvisor.trace.stepping import Stepping

__all__ = ("HEADER", "format_step", "format_summary")

_PLACE_WIDTH = 36
_TEXT_WIDTH = 40
_DEEPEST = 24

HEADER = f"{'ADDRESS':<16}  {'PLACE':<{_PLACE_WIDTH}} {'INSTRUCTION':<{_TEXT_WIDTH}} CHANGED\n"


def format_step(step: Step) -> str:
    """Address, symbol+offset indented by call depth, disassembly, changed registers."""
    indent = "  " * min(step.depth, _DEEPEST)
    if step.outcome in {Outcome.INTERRUPT, Outcome.RESUMED}:
        return f"{'':16}  {indent}-- {_interlude(step)}\n"
    place = f"{indent}{step.place}"
    note = {
        Outcome.EXCEPTION: f"; exception: {Esr.from_int(step.esr).explain()}",
        Outcome.EMULATED: "; by the monitor",
    }.get(step.outcome, "")
    line = f"{step.address:016x}  {place:<{_PLACE_WIDTH}} {step.text + note:<{_TEXT_WIDTH}}"
    return f"{line} {_changes(step)}".rstrip() + "\n"


def format_summary(count: StepCount, stepping: Stepping) -> str:
    """Instructions, interrupts, exceptions; what kept it from its end."""
    parts = [
        _count(count.instructions, "instruction"),
        _count(count.interrupts, "interrupt") + " stepped",
        f"{count.skipped:,} skipped",
        _count(count.exceptions, "exception"),
        _count(count.over, "function") + " stepped over",
    ]
    size = f"{_count(len(count.functions), 'function')}, depth {count.deepest}"
    lines = [f"{', '.join(parts)}; {count.seconds * 1e3:.3f} ms of guest time, {size}"]
    if not stepping.finished:
        reason = f": {stepping.reason}" if stepping.reason else ""
        lines.append(f"stepping ended before the end that was asked for{reason}")
    if stepping.lost:
        lines.append(f"WARNING: {stepping.lost:,} records were lost")
    return "\n".join(lines) + "\n"


def _interlude(step: Step) -> str:
    if step.outcome is Outcome.INTERRUPT:
        return f"interrupt, to the vector {step.pc:#x}"
    if step.pc == step.address:
        return "interrupt (skipped)"
    return f"{step.place} ran freely{f'; {changes}' if (changes := _changes(step)) else ''}"


def _changes(step: Step) -> str:
    return " ".join(
        f"nzcv={_flags(new)}" if name == "nzcv" else f"{name}={new:#x}"
        for name, (_, new) in step.changed.items()
    )


def _flags(value: int) -> str:
    """Capital letters for flags that are set."""
    return "".join(
        letter.upper() if value & 8 >> bit else letter for bit, letter in enumerate("nzcv")
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
