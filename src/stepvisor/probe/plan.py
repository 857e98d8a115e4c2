"""The plan: how a displaced instruction runs."""

import enum
from dataclasses import dataclass

from stepvisor.errors import ProbeError
from stepvisor.monitor.emulation import Emulation
from stepvisor.monitor.interface import Plan
from stepvisor.probe.decode import Flow, classify
from stepvisor.probe.emulate import decode
from stepvisor.probe.reason import why_emulated, why_stepped

__all__ = ("Choice", "Method", "plan_for", "step_plan")

_PLANS = {
    Flow.LINEAR: Plan.STEP_LINEAR,
    Flow.IMMEDIATE: Plan.STEP_BRANCH_IMMEDIATE,
    Flow.REGISTER: Plan.STEP_BRANCH_REGISTER,
    Flow.TRAP: Plan.STEP_OTHER,
}

_AUTHENTICATED_RETURNS = frozenset({0xD65F_0BFF, 0xD65F_0FFF})
"""RETAA, RETAB: their register is x30, but the field that names a register holds 31."""


class Method(enum.Enum):
    """What a user may insist on."""

    EMULATE = "emulate"
    """The monitor performs the instruction: one trap a hit."""
    STEP = "step"
    """The core performs it, in a hardware step: several times the cost, always possible."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan and why it was chosen."""

    plan: Plan
    reason: str
    emulation: Emulation | None = None
    """Set if the plan is to emulate."""

    @property
    def method(self) -> Method:
        """The plan in one word."""
        return Method.STEP if self.emulation is None else Method.EMULATE


def plan_for(word: int, wanted: Method | None = None) -> Choice:
    """How instruction `word` is run when it sits under a probe: emulated wherever it can be.

    :raise ProbeError: When it cannot be emulated, and that is `wanted`.
    """
    if wanted is Method.STEP:
        return Choice(step_plan(word), "stepping is asked for")
    emulation = decode(word)
    if emulation is not None:
        return Choice(Plan.EMULATE, why_emulated(emulation), emulation)
    reason = why_stepped(word)
    if wanted is Method.EMULATE:
        raise ProbeError(f"its instruction cannot be emulated: {reason}; let it be stepped")
    return Choice(step_plan(word), reason)


def step_plan(word: int) -> Plan:
    """Where instruction `word` may lead when it is stepped."""
    if word in _AUTHENTICATED_RETURNS:
        return Plan.STEP_OTHER
    return _PLANS[classify(word)]
