"""What of real kernels is emulated: descriptors, shares, what a hit costs."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from assembly import differences
from command_line import cpu_seconds
from emulated_cases import PACIASP

import stepvisor
from stepvisor.guest.distribution import GuestFiles, fetch
from stepvisor.guest.image import load_image
from stepvisor.monitor.interface import VcpuCounters
from stepvisor.probe.coverage import survey
from stepvisor.probe.many import find_functions
from stepvisor.symbols.table import SymbolTable

pytestmark = pytest.mark.system

_MOV_X9_X30 = 0xAA1E03E9
"""What ftrace leaves at the entry of a function."""
_READS = 20_000
_ROUNDS = 3
_TAUGHT = 16
"""Signatures that the monitor steps before it trusts itself with one: TRIALS of
el2/pointer_auth.c, and as many again that two vCPUs may be at meanwhile."""
_AT_MOST = 65536
"""Different words to give to objdump at a time."""


@pytest.fixture(scope="module", params=["6.12", "6.1"])
def release(request: pytest.FixtureRequest) -> GuestFiles:
    return fetch(release=request.param)


@pytest.fixture(scope="module")
def running(release: GuestFiles) -> Iterator[stepvisor.Guest]:
    with stepvisor.boot(release.kernel, initrd=release.initrd) as guest:
        guest.wait_ready()
        yield guest


def test_every_instruction_of_the_image_is_decoded_as_objdump_reads_it(
    release: GuestFiles,
) -> None:
    image = load_image(release.kernel)
    table = SymbolTable.from_image(image)
    start, stop = (edge - table.link_base for edge in (table.text.start, table.text.stop))
    words = np.unique(np.frombuffer(image.data[start:stop], "<u4")).tolist()
    wrong = [
        line
        for first in range(0, len(words), _AT_MOST)
        for line in differences(words[first : first + _AT_MOST])
    ]

    assert len(words) > 400_000
    assert wrong == []


def test_shares_of_the_running_kernel(running: stepvisor.Guest) -> None:
    """As it is after ftrace and the alternatives have patched it: with a pointer before each
    function that ftrace follows, in the place of two instructions."""
    code = running.code
    words = code.words()
    coverage = survey(code, words, running.symbols)
    entries = {t.offset - code.text.start for t in find_functions(running.symbols, "*")[0]}
    first_words = words[np.array(sorted(entries)) // 4]

    sys.stdout.write(f"{coverage}\n")
    assert coverage.entries.fraction >= 0.99
    assert coverage.instructions.fraction >= 0.60
    assert coverage.entries.total == len(entries) > 40_000
    assert coverage.instructions.total == len(words) > 3_000_000
    assert (first_words == _MOV_X9_X30).mean() > 0.6
    assert sum(coverage.others.values()) == len(words) - coverage.instructions.emulated


def test_hits_of_function_entries_are_emulated(running: stepvisor.Guest) -> None:
    before = running.counters()
    with running.trace("vfs_*", "ksys_*", "do_sys_*") as trace:
        running.run("dd if=/dev/zero of=/dev/null bs=1 count=2000; ls -lR /proc/self >/dev/null")
    hits, emulated, steps = (
        _gained(running, before, name) for name in ("hits", "emulated", "steps")
    )

    assert sum(trace.summary().hits.values()) == hits > 4000
    assert emulated > 0.99 * hits
    assert emulated + steps == hits


def _gained(guest: stepvisor.Guest, before: Sequence[VcpuCounters], name: str) -> int:
    pairs = zip(guest.counters(), before, strict=True)
    return sum(getattr(now, name) - getattr(then, name) for now, then in pairs)


@dataclass
class _Cost:
    """Of so many reads, each with one hit or none."""

    seconds: list[float] = field(default_factory=list)
    """Of QEMU's processor time: others who have the processors do not make it longer."""
    hits: int = 0
    steps: int = 0

    def measure(self, guest: stepvisor.Guest) -> None:
        start, before = cpu_seconds(guest.pid), guest.counters()
        done = guest.run(f"dd if=/dev/zero of=/dev/null bs=1 count={_READS}", 120)
        self.seconds.append(cpu_seconds(guest.pid) - start)
        self.hits += _gained(guest, before, "hits")
        self.steps += _gained(guest, before, "steps")
        assert done.exit_code == 0

    @property
    def microseconds(self) -> float:
        """One read, in the best of the rounds."""
        return min(self.seconds) / _READS * 1e6


def test_cost_of_a_hit(running: stepvisor.Guest) -> None:
    """What is emulated takes no step, and less than what does."""
    plans = {
        "bare": None,
        "emulated": ("vfs_read", "emulate"),
        "signed": (_signing_place(running), "emulate"),
        "stepped": ("vfs_read", "step"),
    }
    costs = {name: _Cost() for name in plans}
    for _ in range(_ROUNDS):
        for name, probe in plans.items():
            with contextlib.ExitStack() as stack:
                if probe:
                    stack.enter_context(running.trace(probe[0], plan=probe[1], record=False))
                costs[name].measure(running)
    bare, emulated, signed, stepped = costs.values()

    sys.stdout.write(
        f"us: a round of dd {bare.microseconds:.2f}"
        + "".join(
            f", {name} +{cost.microseconds - bare.microseconds:.2f}"
            for name, cost in costs.items()
            if cost is not bare
        )
        + f"; {signed.steps} signatures were stepped\n"
    )
    assert bare.hits == 0
    assert all(cost.hits >= _ROUNDS * _READS for cost in (emulated, signed, stepped))
    assert emulated.steps == 0
    assert signed.steps <= _TAUGHT
    assert stepped.steps == stepped.hits
    assert emulated.microseconds < stepped.microseconds
    assert signed.microseconds < stepped.microseconds


def _signing_place(guest: stepvisor.Guest) -> str:
    """Where vfs_read signs its return address."""
    code = guest.code
    entry = guest.symbols.lookup("vfs_read").address - guest.symbols.link_base - code.text.start
    words = code.words()[entry // 4 : entry // 4 + 8].tolist()
    return f"vfs_read+{words.index(PACIASP) * 4:#x}"
