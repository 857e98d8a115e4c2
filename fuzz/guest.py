"""The fuzzing guest under the monitor, its rings emptied and its hits counted all the time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from bare import BareGuest, build_payload

from fuzz.case import Case
from fuzz.layout import SITES
from fuzz.programs import CAPTURE
from stepvisor.errors import GuestError
from stepvisor.machine.config import MIB

__all__ = ("PAYLOAD", "FuzzGuest")

PAYLOAD: Final = "fuzz"
_TAIL = 64
"""Bytes that a line which is waited for may begin before the end of what was looked at."""
_PAUSE = 0.001


class FuzzGuest(BareGuest):
    """A context manager, as its base."""

    def __init__(self, case: Case, variables: dict[str, int], monitor: Path | None) -> None:
        """Boot it; it waits at its first checkpoint."""
        self.seen = np.zeros(case.vcpus * SITES + 1, np.int64)
        """Records by slot."""
        super().__init__(
            build_payload(PAYLOAD),
            cpu=case.cpu,
            vcpus=case.vcpus,
            variables=variables,
            memory=64 * MIB,
            monitor=monitor,
        )
        self.ready("arm")

    def drain(self) -> None:
        """Empty the rings: records are counted and forgotten."""
        drained = self.monitor.drain()
        self.notices += drained.notices
        slots = [hits["slot"] for hits in drained.hits]
        layout = CAPTURE.layout
        assert layout is not None
        slots += [layout.decode(captures)["slot"] for captures in drained.captures]
        for part in slots:
            self.seen += np.bincount(part, minlength=len(self.seen))

    def run(self, turn: Callable[[], None], seconds: float) -> None:
        """Let it do its actions, with a `turn` of the host's after each look at the rings.

        :raise GuestError: When it takes longer than `seconds`, or ends before its time.
        """
        self.go()
        deadline = time.monotonic() + seconds
        looked = self.machine.console.position
        while True:
            position = self.machine.console.position
            text = self.machine.console.text(looked - _TAIL)
            looked = position
            if b"READY: done" in text:
                return
            if b"SUMMARY: " in text or self.machine.console.ended or time.monotonic() > deadline:
                raise GuestError(f"the guest did not come to its end; it said:\n{self.tail()}")
            self.machine.check_alive()
            self.drain()
            turn()
            time.sleep(_PAUSE)

    def tail(self) -> str:
        """The last lines of the guest."""
        return "\n".join(self.text.splitlines()[-20:])
