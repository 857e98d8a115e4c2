"""A short form of `make fuzz`; what it finds is added here, or as a case of its own."""

import pytest

from fuzz.case import Case, Way
from fuzz.compare import check
from stepvisor.machine.config import DEFAULT_CPU

pytestmark = pytest.mark.system

CPUS = ("cortex-a57", DEFAULT_CPU)

SHORT = (
    Case(1, CPUS[0], 3, 1500, Way.FREE),
    Case(1, CPUS[0], 3, 1500, Way.STIRRED),
    Case(2, CPUS[0], 1, 1500, Way.PROBED),
    Case(3, CPUS[0], 2, 60, Way.STEPPED),
    Case(1, CPUS[1], 3, 1500, Way.FREE),
    Case(1, CPUS[1], 3, 1500, Way.STIRRED),
    Case(2, CPUS[1], 1, 1500, Way.PROBED),
    Case(3, CPUS[1], 2, 60, Way.STEPPED),
)


@pytest.mark.parametrize("case", SHORT, ids=Case.command)
def test_guest_does_the_same(case: Case) -> None:
    failure = check(case)

    assert failure is None, str(failure)
