"""A short form of `make fuzz`, and what it has found."""

import pytest

from fuzz.case import Case, Way
from fuzz.compare import check
from stepvisor.machine.config import DEFAULT_CPU

pytestmark = pytest.mark.system

CPUS = ("cortex-a57", DEFAULT_CPU)

SHORT = (
    Case(1, CPUS[0], 3, 4000, Way.FREE),
    Case(1, CPUS[0], 3, 4000, Way.STIRRED),
    Case(2, CPUS[0], 1, 4000, Way.PROBED),
    Case(3, CPUS[0], 2, 150, Way.STEPPED),
    Case(1, CPUS[1], 3, 4000, Way.FREE),
    Case(1, CPUS[1], 3, 4000, Way.STIRRED),
    Case(2, CPUS[1], 1, 4000, Way.PROBED),
    Case(3, CPUS[1], 2, 150, Way.STEPPED),
)

FOUND = (
    # A load that begins in a page without a probe and ends in one with a probe.
    Case(1, CPUS[0], 1, 10_000, Way.STIRRED),
)


@pytest.mark.parametrize("case", [*SHORT, *FOUND], ids=Case.command)
def test_guest_does_the_same(case: Case) -> None:
    failure = check(case)

    assert failure is None, str(failure)
