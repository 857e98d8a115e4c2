"""From what a user asks of a step to what a backend is told."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from stepvisor.errors import InputError, ProbeError
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.monitor.vocabulary import Action, StepEnd, StepOption, TaskFilter, Until
from stepvisor.probe.place import Code, place
from stepvisor.probe.resolve import Target
from stepvisor.symbols.table import SymbolTable
from stepvisor.symbols.task import COMM_SIZE

__all__ = (
    "ENDS",
    "PACE",
    "SWITCH",
    "any_code",
    "ends_at_place",
    "step_end",
    "step_options",
    "step_probes",
    "task_filter",
)

SWITCH = "cpu_switch_to"
"""Where Linux goes from one task to another: what follows is another task's, until it returns."""

ENDS = {"do_task_dead": Action.TASK_END, "__put_task_struct": Action.TASK_FREE}
"""Where Linux lets a task end: its last function, which ends the wait for whatever the task would
have done; and where its structure is given back, for a run that begins in that function."""

PACE = 20_000
"""Instructions between two interrupts of a slow guest: about what a timer's interrupt and a change
of tasks need, twice, so that half of what is stepped is what the guest is there for."""

_RETURN = "return"
_NUMBER = re.compile(r"[0-9]{1,18}")
_LARGEST_COUNT = 1 << 40


def step_end(until: str | int, limit: int, running: Callable[[str], int]) -> StepEnd:
    """When stepping ends: at "return", at a symbol or address, or after a number of instructions.

    :param limit: Instructions at most, besides; 0 for any number.
    :param running: Gives the running kernel's address of a symbol or address as text.
    :raise InputError: When it is nothing of that.
    """
    if limit < 0 or limit > _LARGEST_COUNT:
        raise InputError(f"{limit} is not a number of instructions to step")
    if isinstance(until, str) and _NUMBER.fullmatch(until.strip()):
        until = int(until)
    if isinstance(until, int) and until < _LARGEST_COUNT:
        if until <= 0:
            raise InputError(f"{until} is not a number of instructions to step")
        return StepEnd(limit=min(until, limit) if limit else until)
    if until == _RETURN:
        return StepEnd(Until.RETURN, limit=limit)
    text = hex(until) if isinstance(until, int) else until
    return StepEnd(Until.ADDRESS, running(text), limit)


def ends_at_place(until: str) -> bool:
    """Whether `until` is a symbol or an address: none can be found before the kernel runs."""
    text = until.strip()
    return text != _RETURN and not _NUMBER.fullmatch(text)


def step_options(*, el0: bool, interrupts: bool) -> StepOption:
    """One run, as the user wants it seen."""
    options = StepOption.ONCE
    if el0:
        options |= StepOption.EL0
    if interrupts:
        options |= StepOption.INTERRUPTS
    return options


def task_filter(name: str, offset: Callable[[], int]) -> TaskFilter:
    """Only the task that is called `name`.

    :raise InputError: When no task can be called that.
    """
    data = name.encode("utf-8", "surrogateescape")
    if not data or len(data) >= COMM_SIZE or b"\0" in data:
        message = f"no task is called {name!r}: names have 1 to {COMM_SIZE - 1} bytes"
        raise InputError(message)
    return TaskFilter(offset(), data)


def any_code(table: SymbolTable, text: str) -> Target:
    """As `resolve`, and code that is freed after boot, for a kernel that has not booted.

    :raise SymbolError: When there is no such symbol, or there are several.
    :raise ProbeError: When it is no code.
    """
    symbol, offset = table.resolve(text)
    address = symbol.address + offset
    if not symbol.is_text or address % 4:
        raise ProbeError(f"no probe on {text}: it is no instruction of the kernel's code")
    label = f"{symbol.name}+{offset:#x}" if offset else symbol.name
    return Target(label=label, offset=address - table.link_base)


def step_probes(
    code: Code,
    start: Target,
    over: Sequence[Target],
    ends: Sequence[Target],
    slots: Callable[[int], int],
) -> tuple[ProbeRequest, ...]:
    """The probe that starts stepping, those on functions that run freely, those on `ENDS`.

    :param slots: Gives the first of a number of slots.
    :raise ProbeError: When one of them cannot be probed, or the first is among `over`.
    """
    if any(target.offset == start.offset for target in over):
        raise ProbeError(f"{start.label} cannot be stepped and stepped over")
    targets = [start, *over, *ends]
    actions = {target.offset: Action.STEP_OVER for target in over}
    actions |= {target.offset: ENDS[target.label] for target in ends}
    actions[start.offset] = Action.STEP_START
    placed = place(code, targets, slots(len(targets)))
    kept = dict.fromkeys(target.offset for target in targets)
    return tuple(
        replace(request, action=actions[offset])
        for request, offset in zip(placed, kept, strict=True)
    )
