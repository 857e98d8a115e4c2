"""Answers to synchronous events: what the vCPU that waits does next."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import InputError
from stepvisor.monitor.barrier import barrier
from stepvisor.monitor.vocabulary import View

__all__ = ("ANSWER_REGISTERS", "Answer", "AnswerAction", "AnswerBoard")

ANSWER_REGISTERS = (
    *(f"x{n}" for n in range(31)),
    *("pc", "pstate", "sp_el0", "sp_el1", "ttbr0", "ttbr1", "tcr", "vbar"),
)
"""What an answer can set, in the order of the wire's answer.registers."""

_INDEX = {name: index for index, name in enumerate(ANSWER_REGISTERS)}
_WORD = 1 << 64
_NOTHING: Mapping[str, int] = MappingProxyType({})


class AnswerAction(enum.IntEnum):
    """What becomes of the instruction that the event is about."""

    CONTINUE = wire.AnswerAction.CONTINUE
    SKIP = wire.AnswerAction.SKIP
    DENY = wire.AnswerAction.DENY


def _fits(value: object) -> bool:
    """Whether it is a number of 64 bits; callers need not have been type-checked."""
    return isinstance(value, int) and -_WORD // 2 <= value < _WORD


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vCPU does after a synchronous event.

    ``Answer.CONTINUE`` goes on as if nothing had been asked. ``Answer.SKIP`` does not run the
    instruction (of a SINGLESTEP: the next one). ``Answer.DENY`` refuses it: a call gets the SMC
    calling convention's "not supported", another instruction an Undefined Instruction exception.
    Each can be refined: ``Answer.SKIP.set(x0=0).stop_stepping()``.
    """

    CONTINUE: ClassVar["Answer"]
    SKIP: ClassVar["Answer"]
    DENY: ClassVar["Answer"]

    action: AnswerAction = AnswerAction.CONTINUE
    registers: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    """Values to set by name: x0 to x30, pc, pstate, sp_el0, sp_el1, ttbr0, ttbr1, tcr, vbar. Of
    PSTATE the flags and masks are taken, not the exception level."""
    stepping: bool | None = None
    """Whether the vCPU is stepped from now on; None: as it is."""
    view: View | None = None
    """What the vCPU sees from now on; None: as it is."""

    def __post_init__(self) -> None:
        """Refuse registers that do not exist and values that are no 64-bit numbers."""
        for name, value in self.registers.items():
            if name not in _INDEX:
                message = f"an answer cannot set {name!r}; it can set {', '.join(_INDEX)}"
                raise InputError(message)
            if not _fits(value):
                message = f"an answer cannot set {name} to {value!r}: it takes a 64-bit number"
                raise InputError(message)

    def set(self, **registers: int) -> "Answer":
        """The same, and these registers set: ``Answer.CONTINUE.set(x0=1, pc=address)``.

        :raise InputError: When there is no such register, or the value does not fit.
        """
        return replace(self, registers=MappingProxyType({**self.registers, **registers}))

    def keep_stepping(self) -> "Answer":
        """The same, and the vCPU is stepped from here on."""
        return replace(self, stepping=True)

    def stop_stepping(self) -> "Answer":
        """The same, and the vCPU runs freely from here on."""
        return replace(self, stepping=False)

    def switch_view(self, view: View) -> "Answer":
        """The same, and the vCPU sees `view` from here on."""
        return replace(self, view=view)


Answer.CONTINUE = Answer()
Answer.SKIP = Answer(AnswerAction.SKIP)
Answer.DENY = Answer(AnswerAction.DENY)

_STEPPING = {
    None: wire.AnswerStepping.AS_IS,
    True: wire.AnswerStepping.ON,
    False: wire.AnswerStepping.OFF,
}


class AnswerBoard:
    """The answers in shared memory, one per vCPU."""

    def __init__(self, answers: NDArray[np.void]) -> None:
        """`answers` is ``wire.ANSWER`` as an array with an element per vCPU."""
        self._answers = answers
        self._sequences = answers["sequence"]
        self._plain = [False] * len(answers)

    def write(self, vcpu: int, sequence: int, answer: Answer) -> None:
        """Answer the event `sequence` of `vcpu`, which goes on at once."""
        if answer is not Answer.CONTINUE or not self._plain[vcpu]:
            self._fill(vcpu, answer)
        barrier()
        self._sequences[vcpu] = sequence + 1

    def _fill(self, vcpu: int, answer: Answer) -> None:
        self._plain[vcpu] = answer is Answer.CONTINUE
        record = self._answers[vcpu : vcpu + 1]
        mask = 0
        for name, value in answer.registers.items():
            mask |= 1 << _INDEX[name]
            record["registers"][0, _INDEX[name]] = value % _WORD
        record["set_mask"] = mask
        record["action"] = answer.action
        record["stepping"] = _STEPPING[answer.stepping]
        record["view"] = 0 if answer.view is None else answer.view + 1
