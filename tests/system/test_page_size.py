"""A kernel with pages of 16 KiB is traced and stepped like any other."""

import pytest

import stepvisor
from stepvisor.guest.distribution import fetch

pytestmark = pytest.mark.system

_TG1_16K = 1


def test_16_kib() -> None:
    files = fetch(release="6.12", flavour="16k")
    with stepvisor.boot(files.kernel, initrd=files.initrd) as guest:
        guest.wait_ready()
        assert guest.monitor.read_cpu().tcr >> 30 & 3 == _TG1_16K
        with guest.trace("vfs_read", where="x2 == 7", capture=("x2",)) as trace:
            guest.run("dd if=/dev/zero of=/dev/null bs=7 count=300 2>/dev/null")
        assert trace.summary().hits == {"vfs_read": 300}
        with guest.trace("do_sys_openat2", capture=("str(x1)",)) as trace:
            guest.run("cat /proc/version > /dev/null")
        assert "/proc/version" in {hit.values["str(x1)"] for hit in trace}
        with guest.step("vfs_read", task="head") as steps:
            guest.run("head -c 1 /dev/zero")
            count = sum(1 for _ in steps)
        assert steps.finished
        assert count > 1000
        assert all(c.derailed == c.astray == 0 for c in guest.counters())
