"""PSTATE when a handler begins, of an exception of the monitor's and of one of the core's."""

import pytest
from bare import CPUS, BareGuest

pytestmark = pytest.mark.system


@pytest.mark.parametrize("cpu", CPUS)
def test_an_exception_begins_as_the_cores_own(cpu: str) -> None:
    with BareGuest("taken", cpu=cpu) as guest:
        report = guest.finish()

        assert report.failures == []
        assert report.passed == 8 * 6
