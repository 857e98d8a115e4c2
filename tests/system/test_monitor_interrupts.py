"""More interrupts than list registers: each taken once, in the order of the bare machine."""

import functools

import pytest
from bare import CPUS, BareGuest, Report, run_native

pytestmark = pytest.mark.system

_KNOWN = {
    "level-falls": "what is in a list register does not see its level fall",
}
"""Scenes that the monitor plays in another way, and why."""

_EVERY_INTERRUPT = 21


@functools.cache
def _native(cpu: str) -> dict[str, list[str]]:
    return _scenes(run_native("interrupts", cpu=cpu))


@functools.cache
def _monitored(cpu: str) -> tuple[dict[str, list[str]], int]:
    with BareGuest("interrupts", cpu=cpu) as guest:
        report = guest.finish()
        return _scenes(report), guest.monitor.counters()[0].overflows


def _scenes(report: Report) -> dict[str, list[str]]:
    """What happened in each scene; a scene that is played twice has both."""
    assert not report.failures
    scenes: dict[str, list[str]] = {}
    for line in report.lines("SCENE: "):
        name, *events = line.split()
        scenes.setdefault(name, []).append(" ".join(events))
    return scenes


@pytest.mark.parametrize("cpu", CPUS)
def test_scenes_are_as_on_the_bare_machine(cpu: str) -> None:
    played, expected = _monitored(cpu)[0], _native(cpu)

    assert list(played) == list(expected)
    known = dict.fromkeys(_KNOWN)
    assert {**played, **known} == {**expected, **known}


@pytest.mark.parametrize(
    "scene", [pytest.param(s, marks=pytest.mark.xfail(reason=why)) for s, why in _KNOWN.items()]
)
def test_known_difference_is_still_one(scene: str) -> None:
    assert _monitored(CPUS[0])[0][scene] == _native(CPUS[0])[scene]


@pytest.mark.parametrize("cpu", CPUS)
def test_list_registers_overflow_and_nothing_is_lost(cpu: str) -> None:
    scenes, overflows = _monitored(cpu)

    assert overflows > 0
    for played in scenes["all-at-once"]:
        taken = [event for event in played.split() if event.startswith("+")]
        assert len(taken) == len(set(taken)) == _EVERY_INTERRUPT
