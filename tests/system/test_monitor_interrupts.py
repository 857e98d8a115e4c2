"""More interrupts than list registers: each taken once, in the order of the bare machine."""

import functools

import pytest
from bare import CPUS, BareGuest, Report, run_native

pytestmark = pytest.mark.system

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
    assert played == expected
    # A level that falls before its interrupt is taken takes it away, also from a list register.
    assert played["level-falls"] == [""]


@pytest.mark.parametrize("cpu", CPUS)
def test_list_registers_overflow_and_nothing_is_lost(cpu: str) -> None:
    scenes, overflows = _monitored(cpu)

    assert overflows > 0
    for played in scenes["all-at-once"]:
        taken = [event for event in played.split() if event.startswith("+")]
        assert len(taken) == len(set(taken)) == _EVERY_INTERRUPT
