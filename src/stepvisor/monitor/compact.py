"""Compact step records as the events that they stand for.

Most steps change a register or two. Such a record has only what its instruction can have changed;
the rest is what the event before it had. All of it is array arithmetic: a trace has millions.
"""

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire

__all__ = ("expand_steps",)

_FIELDS = (0, 5, 10, 16)
"""Where an instruction word names the registers of `record_step.x`."""
_LINK = 30
_REGISTERS = 31
_COLUMNS = 32
"""Registers and one for the zero register, in which nothing is looked for."""
_PSTATE_SP = np.uint64(1)
_SAME = ("vcpu", "flags", "slot", "sequence", "ticks", "pc", "instruction_address", "word")
_BLOCK = 512
"""Steps at a time: what is computed for them stays in the cache, and is no new memory each time."""


def expand_steps(steps: NDArray[np.void], before: NDArray[np.void]) -> NDArray[np.void]:
    """Events of dtype ``wire.RECORD_EVENT`` for `steps`, one each.

    :param steps: n records of dtype ``wire.RECORD_STEP``, in their order.
    :param before: The event right before them, an array of length 1 of dtype
        ``wire.RECORD_EVENT``.
    """
    events = np.empty(len(steps), wire.RECORD_EVENT)
    for start in range(0, len(steps), _BLOCK):
        block = events[start : start + _BLOCK]
        _expand(steps[start : start + _BLOCK], before, block)
        before = block[-1:]
    return events


def _expand(steps: NDArray[np.void], before: NDArray[np.void], events: NDArray[np.void]) -> None:
    events[:] = before
    events["type"] = wire.Record.EVENT
    events["size"] = wire.RECORD_EVENT.itemsize
    events["event"] = wire.Event.SINGLESTEP
    events["outcome"] = wire.Outcome.STEPPED
    events["pstate"] = steps["pstate"]
    for name in ("esr", "far", "waits"):
        events[name] = 0
    for name in _SAME:
        events[name] = steps[name]
    events["x"] = _general(steps, before)
    handler = (steps["pstate"] & _PSTATE_SP) != 0
    for name, selected in (("sp_el0", ~handler), ("sp_el1", handler)):
        if selected.any():
            events[name] = _carried(steps["sp"], selected, before[name])


def _general(steps: NDArray[np.void], before: NDArray[np.void]) -> NDArray[np.uint64]:
    """x0 to x30 after each step: what its record says, else what they were."""
    values = np.empty((len(steps) + 1, _COLUMNS), np.uint64)
    values[0, :_REGISTERS] = before["x"][0]
    known = np.zeros(values.shape, np.int32)
    """In each row and column: where the row begins in which the register was named last."""
    rows = np.arange(1, len(steps) + 1) * _COLUMNS
    words = steps["word"].astype(np.int64)
    named = [words >> shift & _COLUMNS - 1 for shift in _FIELDS]
    named.append(np.full_like(words, _LINK))
    for register, value in zip(named, (*steps["x"].T, steps["x30"]), strict=True):
        values.reshape(-1)[rows + register] = value
        known.reshape(-1)[rows + register] = rows
    np.maximum.accumulate(known, axis=0, out=known)
    known += np.arange(_COLUMNS, dtype=np.int32)
    return values.reshape(-1).take(known[1:, :_REGISTERS])


def _carried(
    values: NDArray[np.uint64], known: NDArray[np.bool_], before: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """`values` where they are known, else the last known one, at first `before`."""
    places = np.maximum.accumulate(np.where(known, np.arange(1, len(values) + 1), 0))
    return np.concatenate([before, values])[places]
