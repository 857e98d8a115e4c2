"""Compact steps against a state that is carried along one register at a time."""

import random

import numpy as np
import pytest
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.monitor.compact import expand_steps

FIELDS = (0, 5, 10, 16)


def some_event(rng: random.Random) -> NDArray[np.void]:
    event = np.zeros(1, wire.RECORD_EVENT)
    for name in event.dtype.names:
        if event[name].dtype.itemsize == 8:
            event[name] = np.array(
                [rng.getrandbits(64) for _ in range(event[name].size)], np.uint64
            ).reshape(event[name].shape)
    event["outcome"], event["waits"] = wire.Outcome.STARTED, 1
    return event


def some_steps(
    rng: random.Random, before: NDArray[np.void], count: int
) -> tuple[NDArray[np.void], list[list[int]]]:
    """Steps, and what x0 to x30, SP_EL0 and SP_EL1 are after each."""
    steps = np.zeros(count, wire.RECORD_STEP)
    state = [*before["x"][0].tolist(), int(before["sp_el0"][0]), int(before["sp_el1"][0])]
    states = []
    for n in range(count):
        word, pstate = rng.getrandbits(32), rng.choice((0, 4, 5))
        named = [word >> shift & 31 for shift in FIELDS]
        for register in {*rng.sample(named, 2), 30} - {31}:
            state[register] = rng.getrandbits(64)
        state[32 if pstate & 1 else 31] = rng.getrandbits(64)
        steps[n]["word"], steps[n]["pstate"] = word, pstate
        steps[n]["x"] = [rng.getrandbits(64) if r == 31 else state[r] for r in named]
        steps[n]["x30"], steps[n]["sp"] = state[30], state[32 if pstate & 1 else 31]
        for name in ("sequence", "ticks", "pc", "instruction_address"):
            steps[n][name] = rng.getrandbits(64)
        states.append(list(state))
    return steps, states


@pytest.mark.parametrize("count", [1, 2, 511, 512, 513, 2000])
def test_registers_are_carried_from_step_to_step(count: int) -> None:
    rng = random.Random(count)
    before = some_event(rng)
    steps, states = some_steps(rng, before, count)

    events = expand_steps(steps, before)

    columns = np.array(states, np.uint64)
    assert np.array_equal(events["x"], columns[:, :31])
    assert np.array_equal(events["sp_el0"], columns[:, 31])
    assert np.array_equal(events["sp_el1"], columns[:, 32])
    for name in ("sequence", "ticks", "pc", "instruction_address", "word", "pstate"):
        assert np.array_equal(events[name], steps[name])
    for name in ("ttbr0", "ttbr1", "tcr", "vbar"):
        assert (events[name] == before[name]).all()
    assert set(events["outcome"].tolist()) == {int(wire.Outcome.STEPPED)}
    assert not events["esr"].any()
    assert not events["waits"].any()
