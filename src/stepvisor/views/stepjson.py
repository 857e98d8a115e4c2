"""Steps as JSON, one object per line; addresses and registers are hexadecimal strings."""

from stepvisor.analysis.steps import StepCount
from stepvisor.plain import to_json
from stepvisor.trace.step import Step
from stepvisor.trace.stepping import Stepping

__all__ = ("format_step", "format_summary")


def format_step(step: Step) -> str:
    """One object."""
    content = {
        "number": step.number,
        "time": round(step.time, 9),
        "vcpu": step.vcpu,
        "outcome": step.outcome.name,
        "address": hex(step.address),
        "pc": hex(step.pc),
        "symbol": step.symbol,
        "offset": step.offset,
        "word": hex(step.word),
        "set": step.instruction_set.name,
        "text": step.text,
        "el": step.el,
        "depth": step.depth,
        "changed": {name: [hex(old), hex(new)] for name, (old, new) in step.changed.items()},
    }
    if step.esr:
        content["esr"] = hex(step.esr)
    return to_json(content) + "\n"


def format_summary(count: StepCount, stepping: Stepping) -> str:
    """One last object, under the key ``summary``."""
    content = {
        "instructions": count.instructions,
        "interrupts_stepped": count.interrupts,
        "interrupts_skipped": count.skipped,
        "exceptions": count.exceptions,
        "stepped_over": count.over,
        "deepest": count.deepest,
        "guest_seconds": round(count.seconds, 9),
        "finished": stepping.finished,
        "ending": stepping.ending.name if stepping.ending is not None else None,
        "reason": stepping.reason,
        "lost": stepping.lost,
        "functions": dict(count.functions),
    }
    return to_json({"summary": content}) + "\n"
