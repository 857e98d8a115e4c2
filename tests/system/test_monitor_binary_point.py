"""The binary points of the guest's CPU interface take any value, as on the bare machine."""

import functools
import subprocess

import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor.errors import StepvisorError

pytestmark = pytest.mark.system

_ENDS_QEMU = 8
"""Group 1 becomes 0 by it, which QEMU asserts it never is (icc_gprio_mask): seen on 7.2, 10, 11."""


@functools.cache
def _native(group: int, written: int) -> dict[str, int] | None:
    """None: QEMU ended itself."""
    try:
        report = run_native("binary_point", variables={"group": group, "written": written})
    except subprocess.CalledProcessError:
        return None
    return report.values


def _monitored(group: int, written: int) -> dict[str, int]:
    variables = {"group": group, "written": written}
    with BareGuest("binary_point", cpu=CPUS[0], variables=variables) as guest:
        guest.ready("written")
        guest.go()
        return guest.finish().values


@pytest.mark.parametrize(("group", "written"), [(0, 0), (0, 15), (1, 0), (1, 7), (1, 0xFF)])
def test_what_is_written_is_as_on_the_bare_machine(group: int, written: int) -> None:
    assert _monitored(group, written) == _native(group, written)


def test_what_ends_qemu_is_an_error_for_the_host() -> None:
    """Not trapped: that would take every acknowledgement and every end of an interrupt to EL2."""
    native = _native(1, _ENDS_QEMU)

    if native is None:
        with pytest.raises(StepvisorError, match="ended"):
            _monitored(1, _ENDS_QEMU)
    else:
        assert _monitored(1, _ENDS_QEMU) == native
