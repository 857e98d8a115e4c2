"""The monitor as the host sees it: self-test, last words, a host that goes away."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from command_line import CommandLine, cpu_seconds, wait_until

import stepvisor
from stepvisor._gen import wire
from stepvisor.errors import MonitorError
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.image import load_image
from stepvisor.machine.config import MachineConfig
from stepvisor.machine.machine import Machine
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.trace.load import load_guest

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("flag", "feature"),
    [
        (wire.Flag.SABOTAGE_TSC, "SMC_TRAP"),
        (wire.Flag.SABOTAGE_TDE, "SOFTWARE_STEP"),
        (wire.Flag.SABOTAGE_STAGE2, "STAGE2_ABORT"),
        (wire.Flag.SABOTAGE_TIMER, "EL2_TIMER"),
    ],
)
def test_self_test_names_what_is_missing(files: GuestFiles, flag: wire.Flag, feature: str) -> None:
    with Machine(MachineConfig(), find_monitor_image()) as machine:
        parameters = load_guest(machine, load_image(files.kernel), None, "")
        sabotaged = dataclasses.replace(parameters, flags=flag)
        monitor = El2Monitor(machine.ram, sabotaged, machine.check_alive)
        try:
            machine.resume()
            with pytest.raises(MonitorError, match=f"self-test failed: {feature}: "):
                monitor.wait_running(60)
        finally:
            monitor.close()


def test_another_abi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ABI_HASH", wire.ABI_HASH ^ 1)

    with pytest.raises(MonitorError, match="different builds"):
        stepvisor.boot()


def test_an_exception_at_el2_is_reported() -> None:
    """Vector, syndrome and address reach the host and the console."""
    with stepvisor.boot() as guest:
        guest.wait_ready()
        with pytest.raises(MonitorError, match=r"vector 0x[0-9a-f]+, esr 0x[0-9a-f]+"):
            guest.monitor.crash()
        text = guest.console.expect(re.compile(rb"x30 0x[0-9a-f]{16}"), 60).string

    assert re.search(rb"(?i)\besr\b.*0x[0-9a-f]+", text)
    assert re.search(rb"(?i)\bfar\b.*0x[0-9a-f]+", text)


def test_a_stopped_host_loses_its_probes_not_its_guest() -> None:
    """SIGSTOP for longer than the heartbeat allows: the guest runs on, the host is told."""
    script = textwrap.dedent("""
        import stepvisor, sys
        from stepvisor._gen import wire
        with stepvisor.boot() as guest:
            guest.wait_ready()
            with guest.trace("vfs_read") as trace:
                place = guest.monitor._parameters.ram_base + wire.CONTROL_OFFSET
                ram = guest._machine.ram
                print("armed", ram.fd, place - ram.base, flush=True)
                sys.stdin.readline()
                try:
                    guest.monitor.check()
                except stepvisor.MonitorError as error:
                    print(error, flush=True)
                print(guest.run("echo alive").output, flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as host:
        assert host.stdout is not None
        armed, descriptor, offset = host.stdout.readline().split()
        assert armed == "armed"
        ram = f"/proc/{host.pid}/fd/{descriptor}"
        control = np.memmap(ram, wire.CONTROL, "r", offset=int(offset), shape=1)
        os.kill(host.pid, signal.SIGSTOP)
        lost = wait_until(lambda: control["state"][0] == wire.State.HOST_LOST, 60)
        os.kill(host.pid, signal.SIGCONT)
        assert lost
        output, _ = host.communicate("\n", timeout=60)

    assert "took all probes away" in output


def test_million(command_line: CommandLine) -> None:
    """1,000,000 one-byte reads: no hit lost, none twice, no step astray; under 200 MB."""
    peak = 0
    ones = lines = 0
    with command_line.start(
        *("trace", "-e", "vfs_read", "--run"),
        "dd if=/dev/zero of=/dev/null bs=1 count=1000000 2>/dev/null",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines += 1
            ones += " x2=0x1 " in line
            if lines % 10_000 == 0:
                peak = max(peak, resident_bytes(process.pid))
            last = line
        assert process.wait(60) == 0

    assert ones == 1_000_000
    assert ", 0 lost," in last
    assert 0 < peak < 200e6


def resident_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_no_threads_spin_while_idle(command_line: CommandLine) -> None:
    """An armed probe that is never hit costs the host little."""
    with command_line.start("trace", "-e", "vfs_read", "--duration", "60") as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = cpu_seconds(process.pid)
        assert wait_until(lambda: False, 2.0) is False
        used = cpu_seconds(process.pid) - before
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert used < 0.3
