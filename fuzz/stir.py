"""Probes that come and go while the guest runs; their hits against the guest's own count."""

import random
import struct
from dataclasses import dataclass, replace

import numpy as np

from fuzz.case import Way
from fuzz.guest import FuzzGuest
from fuzz.layout import SITE, SITES, SiteFlag
from fuzz.programs import Programs
from stepvisor.errors import ProbeError
from stepvisor.monitor.interface import Plan, ProbeRequest, StepOption, Trap
from stepvisor.probe.plan import Method

__all__ = ("Probes",)

_MOST_STIRRED = 24
"""Probes that one turn adds."""

_USER_ALIAS = 0x8000_0000
"""Added to the address of RAM: the same memory for EL0."""

_OPTIONS = (
    StepOption.SILENT | StepOption.EL0,
    StepOption.SILENT | StepOption.EL0 | StepOption.INTERRUPTS,
    StepOption.INTERRUPTS | StepOption.EL0,
)


@dataclass(frozen=True, slots=True)
class _Armed:
    request: ProbeRequest
    begun: int
    """How often the guest had begun to go there, by when it was surely not armed yet,"""
    ended: int
    """and had been there when it surely was."""
    hits: int


class Probes:
    """All probes of one guest; a probe's slot is the number of its site, from 1."""

    def __init__(self, guest: FuzzGuest, vcpus: int, way: Way, seed: int) -> None:
        """The guest waits at its checkpoint before the first action."""
        self._guest = guest
        self._random = random.Random(seed)
        self._way = way
        size = vcpus * SITES * SITE.itemsize
        view = guest.machine.ram.view(guest.address("sites"), -(-size // 4096) * 4096)
        self._sites = np.frombuffer(view, SITE, vcpus * SITES)
        self._throughout: dict[int, ProbeRequest] = {}
        self._stirred: dict[int, _Armed] = {}
        self._vcpus = vcpus
        self._stepped: set[int] = set()
        self._programs = Programs.load(guest.monitor)
        self.problems: list[str] = []
        self.checked = 0
        """Hits that were compared with the guest's own count."""

    def start(self) -> None:
        """What is armed from the beginning to the end."""
        if self._way is Way.FREE:
            return
        part = 2 if self._way is Way.PROBED else 4
        requests = [
            self._request(n) for n in self._candidates() if not self._random.randrange(part)
        ]
        self._guest.monitor.arm(requests)
        self._throughout = {request.slot: request for request in requests}

    def turn(self) -> None:
        """Add some, take some away."""
        if self._way in {Way.FREE, Way.PROBED}:
            return
        if self._way is Way.STEPPED:
            self._step()
        if self._stirred and self._random.randrange(2):
            self._remove(self._random.sample(sorted(self._stirred), len(self._stirred) // 2 + 1))
        else:
            self._add()

    def finish(self) -> None:
        """Judge all; the guest has done its last action."""
        if self._stepped:
            self._guest.monitor.set_stepping(None, on=False)
        self._remove(list(self._stirred))
        self._guest.monitor.disarm(list(self._throughout))
        self._guest.drain()
        for slot, request in self._throughout.items():
            site = self._sites[slot - 1]
            if not int(site["flags"]) & SiteFlag.REWRITTEN:
                count = int(site["ended"])
                self._judge(request, self._hits(request), count, count)

    def _step(self) -> None:
        """Let a vCPU be stepped that was not, or run freely if it was."""
        vcpu = self._random.randrange(self._vcpus)
        on = vcpu not in self._stepped
        if on:
            self._guest.monitor.configure_step(self._random.choice(_OPTIONS))
        self._guest.monitor.set_stepping({vcpu}, on=on)
        self._stepped ^= {vcpu}

    def _add(self) -> None:
        candidates = [
            n
            for n in self._candidates()
            if n + 1 not in self._throughout and n + 1 not in self._stirred
        ]
        count = min(len(candidates), self._random.randint(1, _MOST_STIRRED))
        for number in self._random.sample(candidates, count):
            self._add_one(number)

    def _add_one(self, number: int) -> None:
        site = self._sites[number]
        request = self._request(number)
        self._guest.drain()
        ended, hits = int(site["ended"]), self._hits(request)
        try:
            self._guest.monitor.arm([request])
        except ProbeError:
            assert int(site["flags"]) & SiteFlag.REWRITTEN, request
            return
        self._stirred[request.slot] = _Armed(request, int(site["begun"]), ended, hits)

    def _remove(self, slots: list[int]) -> None:
        if not slots:
            return
        before = {slot: int(self._sites["ended"][slot - 1]) for slot in slots}
        self._guest.monitor.disarm(slots)
        after = {slot: int(self._sites["begun"][slot - 1]) for slot in slots}
        self._guest.drain()
        for slot in slots:
            armed = self._stirred.pop(slot)
            if int(self._sites["flags"][slot - 1]) & (SiteFlag.REWRITTEN | SiteFlag.LOOPS):
                continue
            hits = self._hits(armed.request) - armed.hits
            least, most = before[slot] - armed.begun, after[slot] - armed.ended
            self._judge(armed.request, hits, max(least, 0), most)

    def _judge(self, request: ProbeRequest, hits: int, least: int, most: int) -> None:
        self.checked += hits
        if not least <= hits <= most:
            self.problems.append(
                f"{hits} hits, the guest counted {least} to {most}: site {request.label},"
                f" {request.word:#010x}, {request.plan.name}, {request.trap.name},"
                f" program {request.program}"
            )

    def _hits(self, request: ProbeRequest) -> int:
        """Up to now; the rings have been emptied."""
        if request.program in self._programs.counting:
            return int(self._guest.monitor.tallies.probes()[request.slot])
        return int(self._guest.seen[request.slot])

    def _candidates(self) -> list[int]:
        excluded = 0 if self._way is Way.TABLES else SiteFlag.TABLE | SiteFlag.STACK
        flags = self._sites["flags"]
        return np.flatnonzero(
            (self._sites["address"] != 0) & (flags & np.uint64(excluded) == 0)
        ).tolist()

    def _request(self, number: int) -> ProbeRequest:
        site = self._sites[number]
        if int(site["flags"]) & (SiteFlag.A32 | SiteFlag.T32):
            return self._request_aarch32(number)
        trap = Trap.BRK if int(site["flags"]) & SiteFlag.USER else Trap.SMC
        method = self._random.choice([Method.STEP, None, None])
        request = self._guest.request(int(site["address"]), number + 1, method, trap)
        return replace(request, label=_label(number), program=self._programs.draw(self._random))

    def _request_aarch32(self, number: int) -> ProbeRequest:
        site = self._sites[number]
        address, thumb = int(site["address"]), bool(int(site["flags"]) & SiteFlag.T32)
        first, second = struct.unpack("<2H", self._guest.monitor.read_physical(address, 4))
        wide = first << 16 | second if thumb else second << 16 | first
        return ProbeRequest(
            slot=number + 1,
            va=address + _USER_ALIAS,
            ipa=address,
            word=first if thumb and first < 0xE800 else wide,
            plan=Plan.STEP_OTHER,
            label=_label(number),
            trap=Trap.BKPT_T32 if thumb else Trap.BKPT_A32,
        )


def _label(number: int) -> str:
    return f"{number % SITES} of vCPU {number // SITES}"
