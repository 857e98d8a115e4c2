"""Loads under a probe keep to allocation tags, which the monitor's own loads would not."""

import pytest
from bare import CPUS, BareGuest, run_native

pytestmark = pytest.mark.system

_DATA = 0x1122_3344_5566_7788
_EXCEPTION = 1 << 63
_TAG_CHECK_FAULT = 0x11
_CALLS = 7
"""Each load twice, but for the one that faults."""


def test_a_load_with_the_wrong_tag_faults_under_a_probe() -> None:
    native = run_native("tags", cpu=CPUS[-1], tagged=True).values
    assert native["off-wrong"] == native["on-right"] == _DATA
    assert native["on-wrong"] & _EXCEPTION
    assert native["on-wrong"] & 0x3F == _TAG_CHECK_FAULT

    with BareGuest("tags", cpu=CPUS[-1], tagged=True) as guest:
        guest.ready("arm")
        guest.arm("tagged_load", method=None)
        guest.go()
        guest.ready("checked")
        guest.go()
        guest.ready("done")
        guest.go()
        assert guest.hits_of(1) == _CALLS
        values = guest.finish().values
        guest.assert_clean()
    assert values == native
