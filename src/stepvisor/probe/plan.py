"""The plan: how a displaced instruction runs."""

from stepvisor.monitor.interface import Plan
from stepvisor.probe.decode import Flow, classify

__all__ = ("plan_for",)

_PLANS = {
    Flow.LINEAR: Plan.STEP_LINEAR,
    Flow.IMMEDIATE: Plan.STEP_BRANCH_IMMEDIATE,
    Flow.REGISTER: Plan.STEP_BRANCH_REGISTER,
    Flow.TRAP: Plan.STEP_OTHER,
}

_AUTHENTICATED_RETURNS = frozenset({0xD65F_0BFF, 0xD65F_0FFF})
"""RETAA, RETAB: their register is x30, but the field that names a register holds 31."""


def plan_for(word: int) -> Plan:
    """How instruction `word` is run when it sits under a probe."""
    if word in _AUTHENTICATED_RETURNS:
        return Plan.STEP_OTHER
    return _PLANS[classify(word)]
