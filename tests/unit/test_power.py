"""Power and the guest's clock in every order of events of three vCPUs (el2/power_state.c)."""

from pathlib import Path

import pytest
from power_model import Explorer, Firmware, ModelError, Phase, build_library

SOURCE = Path(__file__).resolve().parents[2] / "el2" / "power_state.c"

FAULTS = {
    "the last one that goes off during a pause leaves the clock running": (
        "	set_power(state, vcpu, POWER_OFF);\n	stop_clock_if_last(state, now);",
        "	set_power(state, vcpu, POWER_OFF);\n	(void)now;",
    ),
    "one that may not go off stays marked as off": (
        "	set_power(state, vcpu, POWER_ON);\n	return",
        "	(void)vcpu;\n	return",
    ),
    "one that comes up runs during a pause": (
        "	set_power(state, vcpu, POWER_ON);\n	return power_must_stop(state, now);",
        "	set_power(state, vcpu, POWER_ON);\n	(void)now;\n	return false;",
    ),
    "one that starts counts as off": (
        "	set_power(state, vcpu, POWER_STARTING);",
        "	(void)vcpu;",
    ),
    "one that starts counts as on": ("POWER_STARTING);", "POWER_ON);"),
    "one runs on although the next pause has begun": (
        "	if (state->pausing)\n		return false;\n	state->stopped--;",
        "	state->stopped--;",
    ),
    "the end of one pause ends all": ("	if (others)\n		return true;\n", ""),
    "the clock stands before all have stopped": (" || state->stopped < running(state)", ""),
    "a pause that others have begun counts its time twice": (" || state->stands)", ")"),
}


def test_power_and_clock_agree_in_every_order(tmp_path: Path) -> None:
    worlds = Explorer(build_library(SOURCE, tmp_path), 3).explore()

    assert len(worlds) > 1000
    reached = {phase for world in worlds for phase in world.phases}
    assert reached == set(Phase)
    assert any(set(world.firmware) == {Firmware.OFF} for world in worlds)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str, tmp_path: Path) -> None:
    right, wrong = FAULTS[fault]
    text = SOURCE.read_text(encoding="utf-8")
    copy = tmp_path / "power_state.c"
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    assert text.count(right) == 1

    with pytest.raises(ModelError):
        Explorer(build_library(copy, tmp_path), 3).explore()
