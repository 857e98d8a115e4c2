"""Every example does what it says."""

import re

import demo
import pytest

import stepvisor

pytestmark = pytest.mark.system


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main() == 0
    output = capsys.readouterr().out

    assert "20,000 hits, 0 lost; guest text unchanged" in output
    assert (
        len(re.findall(r"^ +\d+\.\d{6} +[01]  vfs_read x0=0x\w+ .* x2=0x1 ", output, re.MULTILINE))
        == 8
    )


def test_two_guests_at_once() -> None:
    """Nothing is shared between them."""
    with stepvisor.boot(cpus=1) as one, stepvisor.boot(cpus=1) as two:
        with one.trace("vfs_read") as first, two.trace("vfs_write") as second:
            one.run("dd if=/dev/zero of=/dev/null bs=5 count=50")
            two.run("dd if=/dev/zero of=/dev/null bs=7 count=70")

        assert sum(hit.regs.x2 == 5 for hit in first) == 50
        assert sum(hit.regs.x2 == 7 for hit in second) == 70
