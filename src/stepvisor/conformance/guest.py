"""The guest of the suite, from the host: hand it cases, take back what differed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepvisor.conformance.layout import (
    CASE,
    COMMAND_CASES,
    COMMAND_SCENARIO,
    MAILBOX,
    RESULT,
    SCRATCH_SIZE,
    STATE,
    Descriptor,
)
from stepvisor.conformance.target import Target
from stepvisor.errors import GuestError, SetupError

__all__ = ("PATIENCE", "ConformanceGuest", "Outcome", "StuckError", "find_image")

_PACKAGE = Path(__file__).resolve().parent.parent
_CASES = 0x4A00_0000
_RESULTS = 0x4BC0_0000
_ROOM = _RESULTS - _CASES
_CPU_REGISTERS = 11
_POLL_SECONDS = 0.0005
_SCENARIO_FACTOR = 10.0
"""A scenario does not tell how far it is, so it gets this many times the patience."""
PATIENCE = 20.0
"""Seconds; far more than any case needs."""


class StuckError(GuestError):
    """A case did not come to its end; `index` says which one of its batch."""

    def __init__(self, index: int) -> None:
        super().__init__(f"case {index} of its batch did not come to its end")
        self.index = index


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the last case left."""

    state: NDArray[np.void]
    """STATE, one element."""
    memory: bytes


def find_image(package: Path = _PACKAGE) -> bytes:
    """The guest's image: package data, or what `make el2` built. Raises SetupError."""
    packaged = package / "_monitor" / "conformance.bin"
    built = package.parent.parent / "build" / "el2" / "guests" / "conformance.bin"
    for candidate in (packaged, built):
        if candidate.is_file():
            return candidate.read_bytes()
    raise SetupError(
        f"the guest of the conformance suite is missing: neither {packaged} nor {built} exists; run"
        " `make el2` in the source tree, or install the package again"
    )


class ConformanceGuest:
    """The guest, started under a target, both places of stepping armed."""

    def __init__(self, target: Target, image: bytes, patience: float = PATIENCE) -> None:
        """Start it; returns when it waits for the first request.

        After `patience` seconds without progress a case counts as stuck.
        """
        self._target = target
        self._patience = patience
        self.descriptor = Descriptor.find(image)
        self._request = 1
        target.load(image)
        self._wait(patience)
        #: MIDR_EL1 and the identification registers, in the order of `describe_cpu` in the guest.
        self.identification = self._mailbox()["results"][0][:_CPU_REGISTERS].tolist()
        d = self.descriptor
        target.step_between({d.start: d.stop, d.call_start: d.call_stop})

    @property
    def capacity(self) -> int:
        """Cases of one batch, at most."""
        return min(_ROOM // CASE.itemsize, 4096)

    def run_cases(self, cases: NDArray[np.void]) -> NDArray[np.void]:
        """Run an array of CASE; an array of RESULT.

        :raise StuckError: When one does not come to its end.
        """
        assert len(cases) <= self.capacity
        self._target.write(_CASES, cases.tobytes())
        self._command(COMMAND_CASES, [_CASES, len(cases), _RESULTS], self._patience)
        data = self._target.read(_RESULTS, len(cases) * RESULT.itemsize)
        return np.frombuffer(data, RESULT)

    def run_scenario(self, number: int, arguments: Sequence[int] = ()) -> list[int]:
        """Run a scenario; its results.

        :raise StuckError: When it does not come to its end.
        """
        self._command(COMMAND_SCENARIO, [number, *arguments], _SCENARIO_FACTOR * self._patience)
        results: list[int] = self._mailbox()["results"][0].tolist()
        return results

    def outcome(self, *, stepped: bool) -> Outcome:
        """What the last case that ran has left, freely or stepped."""
        d = self.descriptor
        address = d.outcomes + (d.outcome_stride if stepped else 0)
        data = self._target.read(address, STATE.itemsize + SCRATCH_SIZE)
        return Outcome(np.frombuffer(data[: STATE.itemsize], STATE), data[STATE.itemsize :])

    def _command(self, command: int, arguments: Sequence[int], patience: float) -> None:
        mailbox = self._mailbox().copy()
        mailbox["command"] = command
        mailbox["arguments"][0, : len(arguments)] = arguments
        mailbox["progress"] = 0
        start = _offset("progress")
        self._target.write(self.descriptor.mailbox + start, mailbox.tobytes()[start:])
        self._target.write(self.descriptor.mailbox, self._request.to_bytes(8, "little"))
        self._request += 1
        self._wait(patience)

    def _mailbox(self) -> NDArray[np.void]:
        return np.frombuffer(self._target.read(self.descriptor.mailbox, MAILBOX.itemsize), MAILBOX)

    def _wait(self, patience: float) -> None:
        """Until the guest is ready for request number `self._request`."""
        seen = -1
        deadline = 0.0
        while True:
            mailbox = self._mailbox()
            if int(mailbox["answer"][0]) == self._request:
                return
            now = time.monotonic()
            if int(mailbox["progress"][0]) != seen:
                seen = int(mailbox["progress"][0])
                deadline = now + patience
            if now > deadline:
                raise StuckError(seen)
            self._target.check()
            time.sleep(_POLL_SECONDS)


def _offset(name: str) -> int:
    assert MAILBOX.fields is not None
    return int(MAILBOX.fields[name][1])
