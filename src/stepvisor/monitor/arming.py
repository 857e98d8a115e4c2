"""Probes and programs on their way to the monitor, any number of them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import MonitorError, ProbeError
from stepvisor.monitor.emulation import Emulation, Operation
from stepvisor.monitor.interface import Plan, ProbeRequest, Progress
from stepvisor.monitor.mailbox import Mailbox, RefusedError
from stepvisor.monitor.program import Program, encode, refusal

__all__ = ("Arming", "Programs")

_PLANS = {plan: wire.Plan[plan.name] for plan in Plan}
_EMULATION_FIELDS = tuple(field.name for field in fields(Emulation))
_NOTHING = Emulation(Operation.NOP)
"""What goes with another plan, where it is not looked at."""
_ROUTE_SECONDS = 2.0
_ROUTE_POLL_SECONDS = 0.002
_MOST = wire.COMMANDS_SIZE // wire.PROBE_DESCRIPTOR.itemsize
_PIECE = 8192
"""Probes armed by one command: what a vCPU does without returning to its guest stays short."""

_REFUSALS = {
    wire.Status.BAD_ADDRESS: "its address is not guest memory that can be probed",
    wire.Status.WORD_CHANGED: "the guest has just changed the instruction there; try again",
    wire.Status.NO_MEMORY: "the monitor has no page left for another shadow; use fewer probes",
    wire.Status.ALREADY_ARMED: "a probe is armed there already",
}


class Arming:
    """Arms and disarms."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def arm(self, probes: Sequence[ProbeRequest], progress: Progress | None = None) -> None:
        """Arm all of `probes`, or none.

        :raise ProbeError: When one cannot be armed.
        """
        probes = sorted(probes, key=lambda probe: probe.ipa)  # the monitor builds page by page
        table = _descriptors(probes)
        done = 0
        try:
            for piece in _pieces(table):
                self._arm(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, len(table))
        except RefusedError as error:
            self.disarm(table["slot"][:done].tolist())
            raise _refusal(error, probes, done) from error

    def disarm(self, slots: Sequence[int]) -> tuple[int, ...]:
        """Disarm; those that were not armed any more, because the guest overwrote them."""
        gone: list[int] = []
        table = np.zeros(len(slots), wire.PROBE_DESCRIPTOR)
        table["slot"] = slots
        while len(table):
            piece = table[:_MOST]
            try:
                self._mailbox.command(wire.Command.DISARM, bulk=piece)
                table = table[len(piece) :]
            except RefusedError as error:
                if error.status != wire.Status.NOT_ARMED or error.failed_index >= len(piece):
                    raise
                gone.append(int(piece["slot"][error.failed_index]))
                table = np.delete(table, error.failed_index)
        return tuple(gone)

    def _arm(self, table: NDArray[np.void]) -> None:
        """For a BRK, every vCPU must have routed debug exceptions to EL2, at an exit of its own."""
        deadline = time.monotonic() + _ROUTE_SECONDS
        while True:
            try:
                self._mailbox.command(wire.Command.ARM, bulk=table)
            except RefusedError as error:
                if error.status != wire.Status.NOT_READY or time.monotonic() > deadline:
                    raise
                time.sleep(_ROUTE_POLL_SECONDS)
            else:
                return


class Programs:
    """Loads programs; what is loaded already is not loaded again."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._loaded: dict[Program, int] = {}
        self._used = 0

    def load(self, program: Program) -> int:
        """The number by which probes name the program.

        :raise MonitorError: When it is not one that can be loaded, or there is no room.
        """
        wrong = refusal(program.code)
        if wrong is not None:
            message = f"no program: {wrong}"
            raise MonitorError(message)
        if program not in self._loaded:
            self._loaded[program] = self._load(program)
        return self._loaded[program]

    def _load(self, program: Program) -> int:
        try:
            return self._place(program)
        except RefusedError as error:
            if error.status != wire.Status.NO_MEMORY:
                raise
        # Old ones can go while no probe is armed.
        self._mailbox.command(wire.Command.UNLOAD_PROGRAMS)
        self._loaded.clear()
        self._used = 0
        return self._place(program)

    def _place(self, program: Program) -> int:
        command = wire.Command.LOAD_PROGRAM
        results = self._mailbox.command(command, (self._used,), bulk=encode(program))
        self._used += len(program.code)
        return int(results[0])


def _descriptors(probes: Sequence[ProbeRequest]) -> NDArray[np.void]:
    table = np.zeros(len(probes), wire.PROBE_DESCRIPTOR)
    for name in ("ipa", "va", "slot", "word", "action", "trap", "program"):
        table[name] = [getattr(probe, name) for probe in probes]
    table["plan"] = [_PLANS[probe.plan] for probe in probes]
    decoded = [probe.emulation or _NOTHING for probe in probes]
    for name in _EMULATION_FIELDS:
        table[name] = [getattr(emulation, name) for emulation in decoded]
    return table


def _pieces(table: NDArray[np.void]) -> Iterator[NDArray[np.void]]:
    """Parts of a sorted table, none of which begins in the middle of a page."""
    start = 0
    pages = table["ipa"] // 4096
    while start < len(table):
        end = min(start + _PIECE, len(table))
        if end < len(table):
            first_of_page = int(np.searchsorted(pages, pages[end]))
            end = first_of_page if first_of_page > start else end
        yield table[start:end]
        start = end


def _refusal(error: RefusedError, probes: Sequence[ProbeRequest], before: int) -> Exception:
    reason = _REFUSALS.get(wire.Status(error.status)) if error.status in set(wire.Status) else None
    number = before + error.failed_index
    if reason is None or number >= len(probes):
        return error
    probe = probes[number]
    return ProbeError(f"no probe on {probe.label} (0x{probe.va:x}): {reason}")
