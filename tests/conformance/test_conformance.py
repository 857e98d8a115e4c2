"""Stepped and probed code leaves what it leaves alone: every class and scenario, every model."""

import pytest
from jobs import Model

from stepvisor.conformance.classes import CLASSES
from stepvisor.conformance.suite import MODELS, QUICK_COUNT, SuiteResult

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

STEPS = 1_000_000 // len(MODELS)
"""Instructions that one model must step for the quick form to be worth its name."""
EMULATED = 10_000
"""Instructions that it must perform in place of the core."""
WITH_EVERYTHING = "max,pauth-impdef=on"


@pytest.mark.parametrize("job", [Model(cpu) for cpu in MODELS], ids=lambda job: job.cpu)
def test_all_is_equal(job: Model, outcome: SuiteResult) -> None:
    lines = [line for failure in outcome.failures for line in failure.lines()]
    assert not lines, "\n".join(lines)
    assert outcome.steps >= STEPS
    cases = {r.name: r.cases for r in outcome.results if not r.skipped}
    shares = {c.name: int(c.share * QUICK_COUNT) for c in CLASSES if c.name in cases}
    assert {name: cases[name] for name in shares} == shares
    assert job.cpu != WITH_EVERYTHING or not any(r.skipped for r in outcome.results)


@pytest.mark.parametrize("job", [Model(cpu) for cpu in MODELS], ids=lambda job: job.cpu)
def test_probes_are_emulated_where_they_can_be(job: Model, outcome: SuiteResult) -> None:
    results = {r.name: r for r in outcome.results}
    probed = [results[c.name] for c in CLASSES if c.probed is not None]

    assert [r.name for r in probed if not r.skipped and not r.emulated + r.displaced] == []
    assert outcome.emulated >= EMULATED
    for name in ("data-immediate", "data-register", "branch-immediate", "load-store-upper-half"):
        assert results[name].emulated > results[name].cases // 2, (job.cpu, name)
