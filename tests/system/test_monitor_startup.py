"""Start-up checks name what is missing, and an exception at EL2 has last words."""

import re
from typing import Any

import pytest
from bare import CPUS, BareGuest

import stepvisor.machine.machine
from stepvisor._gen import wire
from stepvisor.errors import MonitorError

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("flag", "feature"),
    [
        (wire.Flag.SABOTAGE_TSC, "SMC_TRAP: .*HCR_EL2.TSC"),
        (wire.Flag.SABOTAGE_TDE, "SOFTWARE_STEP: .*MDCR_EL2.TDE"),
        (wire.Flag.SABOTAGE_STAGE2, "STAGE2_ABORT: .*stage 2"),
        (wire.Flag.SABOTAGE_TIMER, "EL2_TIMER: .*timer"),
    ],
)
@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_self_test_names_the_feature(cpu: str, flag: wire.Flag, feature: str) -> None:
    with BareGuest("progress", cpu=cpu, flags=flag, start=False) as guest:
        with pytest.raises(MonitorError, match=f"self-test failed: {feature}"):
            guest.start()

        assert guest.machine.wait_ended(60)
        assert "stepvisor: start-up check failed: " in guest.text
        assert "READY" not in guest.text


def test_machine_without_el2(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stepvisor.machine.machine.qemu_argv

    def without(*arguments: Any, **keywords: Any) -> list[str]:
        argv = original(*arguments, **keywords)
        return [word.replace("virtualization=on", "virtualization=off") for word in argv]

    monkeypatch.setattr(stepvisor.machine.machine, "qemu_argv", without)
    with (
        BareGuest("progress", start=False) as guest,
        pytest.raises(MonitorError, match=r"NOT_EL2: .*virtualization=on"),
    ):
        guest.start()


@pytest.mark.parametrize("name", ["host_abi", "host_magic"])
def test_other_build_is_refused(name: str) -> None:
    with BareGuest("progress", start=False) as guest:
        guest.monitor._control[name][0] ^= 1
        with pytest.raises(MonitorError, match=r"ABI: .*different builds"):
            guest.start()

        assert guest.machine.wait_ended(60)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ram_base", 0x4020_0000),
        ("ram_size", wire.REGION_SIZE),
        ("ram_size", wire.REGION_SIZE + 0x1000),
        ("vcpus", 0),
        ("vcpus", wire.MAX_VCPUS + 1),
    ],
)
def test_parameters_that_cannot_be_are_refused(name: str, number: int) -> None:
    with BareGuest("progress", start=False) as guest:
        guest.monitor._control[name][0] = number
        with pytest.raises(MonitorError, match="PARAMETERS: "):
            guest.start()


@pytest.mark.parametrize("cpu", CPUS)
def test_exception_at_el2_has_last_words(cpu: str) -> None:
    with BareGuest("progress", cpu=cpu) as guest:
        guest.ready("started")
        with pytest.raises(MonitorError, match="exception of its own") as caught:
            guest.monitor.crash()

        assert guest.machine.wait_ended(60)
        numbers = {
            name: int(number, 16)
            for name, number in re.findall(r"(\w+) 0x([0-9a-f]+)", str(caught.value))
        }
        base = guest.machine.ram.base
        image = range(base + wire.IMAGE_OFFSET, base + wire.IMAGE_OFFSET + wire.IMAGE_MAX_SIZE)
        assert numbers["vector"] == 0x200
        assert numbers["esr"] >> 26 == 0x25
        assert numbers["far"] == base
        assert numbers["elr"] in image
        assert numbers["vcpu"] == 0
        report = guest.text[guest.text.index("stepvisor: unexpected exception at EL2") :]
        assert "synchronous, SP_EL2" in report
        said = re.search(
            r"vector 0x0*(\w+) ESR 0x0*(\w+) ELR 0x0*(\w+) FAR 0x0*(\w+) SPSR 0x", report
        )
        assert said
        assert [int(number, 16) for number in said.groups()] == [
            numbers[name] for name in ("vector", "esr", "elr", "far")
        ]
        assert all(f"x{n:02} 0x" in report for n in range(31))
