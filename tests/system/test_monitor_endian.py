"""A guest that is big-endian for a while reads and writes what it would on the bare machine."""

from dataclasses import replace

import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor.probe.program import read_program

pytestmark = pytest.mark.system

_WORD = 0x8192_A3B4
"""The first four bytes of the guest's data, the first one on top."""


@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_big_endian_accesses_and_captures(cpu: str) -> None:
    with BareGuest("endian", cpu=cpu) as guest:
        guest.ready("arm")
        guest.arm("endian_probe", first_slot=1)
        matching = read_program(where=f"u32[x0] == {_WORD}").program()
        number = guest.monitor.load_program(matching)
        request = replace(guest.request("captured_site", 2), program=number)
        guest.monitor.arm([request])
        guest.go()
        guest.ready("done")
        assert guest.hits_of(2) == 1
        guest.go()
        values = guest.finish().values
        guest.assert_clean()

    native = run_native("endian", cpu=cpu).values
    assert native["captured"] == _WORD
    assert values == native
