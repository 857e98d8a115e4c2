"""Several vCPUs in one probed function: every hit, and nothing else."""

import enum

import numpy as np
import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor._gen import wire

pytestmark = pytest.mark.system

_ROUNDS = 300


class Scene(enum.IntEnum):
    """enum scene of tests/guests/vcpus.c."""

    COUNT = 0
    UNTIL_TYPED = 1
    WRITE = 2
    OFF_AND_ON = 3
    RACE_ON = 4
    ON_IN_MONITOR = 5


def _guest(scene: Scene, vcpus: int, cpu: str = CPUS[0], **variables: int) -> BareGuest:
    return BareGuest(
        "vcpus", cpu=cpu, vcpus=vcpus, variables={"scene": scene, "rounds": _ROUNDS, **variables}
    )


def _hits_per_vcpu_and_slot(guest: BareGuest) -> dict[tuple[int, int], int]:
    hits = guest.hits
    pairs, counts = np.unique(np.stack([hits["vcpu"], hits["slot"]]), axis=1, return_counts=True)
    return {(int(v), int(s)): int(n) for (v, s), n in zip(pairs.T, counts, strict=True)}


@pytest.mark.parametrize(
    ("cpu", "vcpus"), [*((CPUS[0], n) for n in (1, 2, 4, 8)), *((cpu, 2) for cpu in CPUS[1:])]
)
def test_each_vcpu_has_exactly_its_hits(cpu: str, vcpus: int) -> None:
    with _guest(Scene.COUNT, vcpus, cpu) as guest:
        guest.ready("online")
        probes = guest.arm_function("smp_call")
        guest.go()
        guest.ready("counted")
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert report.values["cpus"] == vcpus
        assert _hits_per_vcpu_and_slot(guest) == {
            (vcpu, probe.slot): _ROUNDS for vcpu in range(vcpus) for probe in probes
        }
        assert [c.hits for c in guest.monitor.counters()] == [_ROUNDS * len(probes)] * vcpus
        guest.assert_clean()


@pytest.mark.parametrize("vcpus", [2, 4])
def test_arm_and_disarm_while_all_run_through_it(vcpus: int) -> None:
    with _guest(Scene.UNTIL_TYPED, vcpus) as guest:
        guest.ready("online")
        guest.go()
        for _ in range(60):
            before = [counters.hits for counters in guest.monitor.counters()]
            probes = guest.arm_function("smp_call")
            guest.until(
                lambda before=before: all(
                    now.hits > then
                    for now, then in zip(guest.monitor.counters(), before, strict=True)
                ),
                "a hit on every vCPU",
            )
            guest.disarm(probes)
        guest.go()
        guest.ready("counted")
        guest.go()
        report = guest.finish()

        assert report.failures == []
        hits = _hits_per_vcpu_and_slot(guest)
        for vcpu in range(vcpus):
            calls = report.values[f"calls-{vcpu}"]
            assert all(0 < n <= calls for (v, _), n in hits.items() if v == vcpu)
        assert int(guest.total("hits")) == len(guest.hits)
        guest.assert_clean()


@pytest.mark.parametrize("vcpus", [2, 3])
def test_no_hit_is_lost_while_another_vcpu_writes_the_page(vcpus: int) -> None:
    with _guest(Scene.WRITE, vcpus) as guest:
        guest.ready("online")
        probes = guest.arm_function("smp_call")
        guest.go()
        guest.ready("counted")
        counters = guest.monitor.counters()
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert counters[0].data_steps > 0
        assert _hits_per_vcpu_and_slot(guest) == {
            (vcpu, probe.slot): _ROUNDS for vcpu in range(1, vcpus) for probe in probes
        }
        assert guest.notices == []
        guest.assert_clean()


@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_a_vcpu_goes_off_and_on_while_probed(cpu: str) -> None:
    cycles, rounds = 100, 20
    with _guest(Scene.OFF_AND_ON, 2, cpu, cycles=cycles, rounds=rounds) as guest:
        guest.ready("online")
        probes = guest.arm_function("smp_call")
        guest.go()
        guest.ready("counted")
        assert guest.monitor.counters()[1].online == 0
        guest.go()
        report = guest.finish()

        assert report.failures == []
        assert _hits_per_vcpu_and_slot(guest) == {
            (1, probe.slot): cycles * rounds for probe in probes
        }
        guest.assert_clean()


def test_bare_machine_agrees_with_the_payload() -> None:
    """The other scenes of CPU_ON have no oracle: QEMU lets both of two that race succeed."""
    variables = {"scene": Scene.OFF_AND_ON, "rounds": 5}

    assert run_native("vcpus", vcpus=2, variables=variables).failures == []


def test_two_vcpus_start_the_same_third_one() -> None:
    with _guest(Scene.RACE_ON, 3) as guest:
        guest.ready("counted")
        guest.go()

        assert guest.finish().failures == []


def test_a_vcpu_that_starts_in_the_monitor_harms_itself_only() -> None:
    with _guest(Scene.ON_IN_MONITOR, 3) as guest:
        guest.ready("on")
        guest.until(lambda: guest.monitor.counters()[1].reflected > 0, "an abort of vCPU 1")
        for _ in range(20):
            guest.monitor._mailbox.command(wire.Command.PING)
        guest.arm_function("smp_call")
        guest.go()
        guest.ready("counted")
        guest.go()

        assert guest.finish().failures == []
        assert len(guest.hits) == len(set(guest.hits["slot"].tolist())) > 0
