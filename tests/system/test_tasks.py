"""Which task runs and what it sees, on a guest whose tasks lie as awkwardly as memory allows."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bare import CPUS, GRANULES, BareGuest

import stepvisor
from programs import build_program
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs
from stepvisor.monitor.interface import Action
from stepvisor.monitor.vocabulary import StepOption, TaskFilter
from stepvisor.probe.program import read_program

pytestmark = pytest.mark.system

SCATTERED = 0x1_0000_0000
"""Two pages whose neighbours in memory are others."""
JUNK = b"\xa5"


def with_granule(bits: int, cpu: str = CPUS[-1], **variables: int) -> BareGuest:
    """The payload with pages of 2^`bits` bytes."""
    return BareGuest("tasks", cpu=cpu, variables={"granule": bits, **variables})


@pytest.fixture(scope="module", params=GRANULES.values(), ids=GRANULES)
def guest(request: pytest.FixtureRequest) -> Iterator[BareGuest]:
    with with_granule(request.param) as guest:
        guest.ready("names")
        yield guest


@pytest.fixture
def page(request: pytest.FixtureRequest, guest: BareGuest) -> int:
    """Bytes of a page of `guest`."""
    del guest
    return 1 << int(request.node.callspec.params["guest"])


def starts(guest: BareGuest, page: int, wanted: bytes, memory: bytes, offset: int) -> bool:
    """Whether a hit starts stepping that is for `wanted`, when `memory` is at the name's place.

    The name begins `offset` bytes after the start of the two pages.
    """
    pages = guest.address("pages")
    both = (JUNK * offset + memory).ljust(2 * page, JUNK)
    guest.machine.ram.write(pages + 2 * page, both[:page])
    guest.machine.ram.write(pages, both[page:])
    guest.monitor.configure_step(
        StepOption.ONCE | StepOption.SILENT, task=TaskFilter(offset, wanted)
    )
    before = guest.total("trace_steps")
    guest.monitor.arm(
        [
            replace(guest.request("task_site", 1), action=Action.STEP_START),
            replace(guest.request("task_end", 2), action=Action.STEP_STOP),
        ]
    )
    guest.go()
    guest.ready("names")
    guest.monitor.disarm([1, 2])
    return guest.total("trace_steps") > before


# Negative offsets are from the end of the first page.
@pytest.mark.parametrize("offset", [0, 100, *range(-16, 2, 3)])
def test_a_name_ends_at_its_zero(guest: BareGuest, page: int, offset: int) -> None:
    """Kernels before 5.17 leave behind it what an older, longer name had there."""
    place = offset % page
    assert starts(guest, page, b"head", b"head\0er\0\xff", place)
    assert starts(guest, page, b"head", b"head".ljust(16, b"\0"), place)
    assert not starts(guest, page, b"head", b"header\0", place)
    assert not starts(guest, page, b"header", b"head\0er\0", place)
    assert not starts(guest, page, b"head", b"hea\0", place)


@pytest.mark.parametrize("offset", [0, -8])
def test_the_longest_name(guest: BareGuest, page: int, offset: int) -> None:
    place = offset % page
    assert starts(guest, page, b"fifteen-letters", b"fifteen-letters\0", place)
    assert not starts(guest, page, b"fifteen-letters", b"fifteen-lettersX", place)
    assert not starts(guest, page, b"fifteen-letter", b"fifteen-letters\0", place)


def test_a_name_that_is_not_all_there(guest: BareGuest, page: int) -> None:
    """The page behind it is not mapped: a name that ends before is read all the same."""
    assert starts(guest, page, b"init", b"init\0", 2 * page - 5)
    assert not starts(guest, page, b"init", b"init", 2 * page - 4)
    assert not starts(guest, page, b"init", b"", 3 * page)


UPPER_HALF = 0xFFFF_FF80_0000_0000
SAVED = 16
"""Where the payload's structure has the program's TTBR0_EL1."""
TCR_A1 = 1 << 22
ASID = 5 << 48
TEXT = b"seen from afar"


def seen_apart(cpu: str, bits: int, offset: int, variables: dict[str, int]) -> str | None:
    """What a hit in kernel code captures of a program's memory, which that code cannot reach."""
    with with_granule(bits, cpu, task=0, **variables) as guest:
        guest.ready("names")
        guest.machine.ram.write(guest.address("pages") + (3 << bits) + 16, TEXT + b"\0")
        asked = read_program(capture=["str(x0)"])
        assert asked is not None
        assert asked.layout is not None
        program = guest.monitor.load_program(asked.program())
        guest.monitor.set_user_tables(offset)
        request = guest.request("apart_site", 1)
        guest.monitor.arm([replace(request, va=request.va | UPPER_HALF, program=program)])
        guest.draining = False
        guest.go()
        report = guest.finish()
        [record] = asked.layout.decode(guest.monitor.drain().captures[0])

    assert report.failures == []
    # The guest itself finds nothing there: a translation fault in PAR_EL1.
    assert report.values["par"] & 1
    return None if record["faults"] else bytes(record["v0"]).decode()


@pytest.mark.parametrize(
    ("cpu", "granule"),
    [*((cpu, "4K") for cpu in CPUS), (CPUS[-1], "16K"), (CPUS[0], "64K"), (CPUS[-1], "64K")],
)
@pytest.mark.parametrize(
    "variables",
    [{}, {"tables_bits": ASID}, {"tcr_bits": TCR_A1, "tables_bits": ASID}],
    ids=["plain", "own ASID", "ASID in TTBR1_EL1"],
)
def test_memory_that_the_kernel_keeps_away_from(
    cpu: str, granule: str, variables: dict[str, int]
) -> None:
    assert seen_apart(cpu, GRANULES[granule], SAVED, variables) == TEXT.decode()


@pytest.mark.parametrize("offset", [0, 24, 1 << 20], ids=["nowhere", "no table", "no memory"])
@pytest.mark.parametrize("granule", GRANULES.values(), ids=GRANULES)
def test_nobody_knows_the_programs_tables(granule: int, offset: int) -> None:
    assert seen_apart(CPUS[-1], granule, offset, {}) is None


@pytest.mark.parametrize("cpu", ["max,pauth-impdef=on", "cortex-a57"])
def test_a_name_on_a_page_that_nobody_has_touched(files: GuestFiles, cpu: str) -> None:
    """The second time it is there: the kernel has read it. On the older core with KPTI."""
    program = {"root/untouched": build_program("untouched")}
    initrd = build_initramfs(files.busybox.read_bytes(), program)
    with stepvisor.boot(initrd=initrd, cpu=cpu, memory="512M") as guest:
        guest.wait_ready()
        offset = guest._comm_offset()
        mine = f"u64[current + {offset}] == {int.from_bytes(b'untouche', 'little')}"
        with guest.trace("do_sys_openat2", where=mine, capture=("str(x1)",)) as trace:
            guest.run("/root/untouched")
        hits = list(trace)

    assert [hit.values["str(x1)"] for hit in hits] == [None, "/not/touched"]
    assert [hit.missing for hit in hits] == [("str(x1)",), ()]
    assert trace.summary().missing == {"str(x1)": 1}
