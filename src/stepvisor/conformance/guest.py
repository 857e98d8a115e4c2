"""The guest of the suite, from the host: hand it cases, take back what differed."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stepvisor.conformance.layout import (
    BATCH,
    CASE,
    COMMAND_CASES,
    COMMAND_PROBED,
    COMMAND_SCENARIO,
    MAILBOX,
    RESULT,
    Descriptor,
)
from stepvisor.conformance.target import Target
from stepvisor.errors import GuestError, SetupError

__all__ = ("PATIENCE", "ConformanceGuest", "StuckError", "find_image")

_PACKAGE = Path(__file__).resolve().parent.parent
_CASES = 0x4A00_0000
_KEPT = 0x4B00_0000
_RESULTS = 0x4BC0_0000
_CPU_REGISTERS = 11
_POLL_SECONDS = 0.0005
_SCENARIO_FACTOR = 5.0
"""A scenario does not tell how far it is, so it gets this many times the patience."""
PATIENCE = 60.0
"""Seconds that one case may take: it needs a few milliseconds of a processor, loaded or not."""


class StuckError(GuestError):
    """A case did not come to its end; `index` says which one of its batch."""

    def __init__(self, index: int) -> None:
        super().__init__(f"case {index} of its batch did not come to its end")
        self.index = index


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
        return (_KEPT - _CASES) // CASE.itemsize

    def run_cases(self, cases: NDArray[np.void], *, keep: bool = False) -> NDArray[np.void]:
        """Run an array of CASE freely and stepped; an array of RESULT.

        With `keep` they are run again later by :meth:`run_probed`: at most a batch of them, each
        in a place of its own.

        :raise StuckError: When one does not come to its end.
        """
        assert len(cases) <= (BATCH if keep else self.capacity)
        self._target.write(_CASES, cases.tobytes())
        return self._run(COMMAND_CASES, len(cases), _KEPT if keep else 0)

    def run_probed(self, count: int, *, stepped: bool) -> NDArray[np.void]:
        """Run the `count` cases that were kept once more; an array of RESULT.

        :raise StuckError: When one does not come to its end.
        """
        return self._run(COMMAND_PROBED, count, _KEPT, int(stepped))

    def run_scenario(self, number: int, arguments: Sequence[int] = ()) -> list[int]:
        """Run a scenario; its results.

        :raise StuckError: When it does not come to its end.
        """
        self._command(COMMAND_SCENARIO, [number, *arguments], _SCENARIO_FACTOR * self._patience)
        results: list[int] = self._mailbox()["results"][0].tolist()
        return results

    def _run(self, command: int, count: int, kept: int, stepped: int = 0) -> NDArray[np.void]:
        self._command(command, [_CASES, count, _RESULTS, kept, stepped], self._patience)
        return np.frombuffer(self._target.read(_RESULTS, count * RESULT.itemsize), RESULT)

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
