"""Stepped code leaves what it leaves alone: every class and scenario, on every model."""

import pytest
from builds import guest_image, monitor_image

from stepvisor.conformance.classes import CLASSES
from stepvisor.conformance.suite import MODELS, QUICK_COUNT, Plan, run_suite

pytestmark = pytest.mark.conformance

STEPS = 1_000_000 // len(MODELS)
"""Instructions that one model must step for the quick form to be worth its name."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("cpu", MODELS)
def test_all_is_equal(cpu: str) -> None:
    plan = Plan(cpu=cpu, seed=1, count=QUICK_COUNT, monitor=monitor_image(), image=guest_image())

    result = run_suite(plan)

    lines = [line for failure in result.failures for line in failure.lines()]
    assert not lines, "\n".join(lines)
    assert result.steps >= STEPS
    cases = {r.name: r.cases for r in result.results if not r.skipped}
    shares = {c.name: int(c.share * QUICK_COUNT) for c in CLASSES if c.name in cases}
    assert {name: cases[name] for name in shares} == shares
    assert {"max,pauth-impdef=on": 0}.get(cpu) is None or not any(r.skipped for r in result.results)
