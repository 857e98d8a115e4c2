"""Functions of loaded modules, against what the guest says of them itself."""

import os
import threading
from collections.abc import Iterator

import pytest
from kernel_package import KernelPackage
from shell import until_asleep

import stepvisor
from stepvisor import Ending
from stepvisor.errors import GuestError, ProbeError, SymbolError
from stepvisor.monitor.events import ProbeGone

pytestmark = pytest.mark.system

MODULES = ("dummy", "overlay")
SENT = "cat /sys/class/net/dummy0/statistics/tx_packets"
SEND = "ping -c 7 -i 0.02 -W 1 10.9.8.7 > /dev/null"
SET_UP = (
    *(f"insmod /{module}.ko" for module in MODULES),
    "echo 1 > /proc/sys/net/ipv6/conf/dummy0/disable_ipv6",
    "ip addr add 10.9.8.1/24 dev dummy0",
    "ip link set dummy0 up",
    "mkdir /tmp/o; cd /tmp/o; mkdir lower upper work merged; echo text > lower/file",
    "cd /tmp/o; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged",
)


_RELEASES = os.environ.get("STEPVISOR_TEST_RELEASES", "6.12,6.1").split(",")
"""Of Debian's kernels, RELEASE or RELEASE-FLAVOUR; `make test-kernels` takes more of them."""


@pytest.fixture(scope="module", params=_RELEASES)
def guest(request: pytest.FixtureRequest) -> Iterator[stepvisor.Guest]:
    package = KernelPackage(request.param)
    initrd = package.initrd(*MODULES)
    with stepvisor.boot(package.kernel(), initrd=initrd, memory="512M") as guest:
        for command in SET_UP:
            done = guest.run(command)
            assert done.exit_code == 0, done
        yield guest
        counters = guest.counters()
        assert [(c.derailed, c.astray) for c in counters] == [(0, 0)] * len(counters)


def kallsyms(guest: stepvisor.Guest, module: str) -> list[tuple[int, str, str]]:
    """Address, letter and name of each symbol, from the guest itself."""
    output = guest.run(rf"grep '\[{module}\]$' /proc/kallsyms").output
    lines = [line.split() for line in output.splitlines()]
    return [(int(address, 16), letter, name) for address, letter, name, _ in lines]


def address_of(guest: stepvisor.Guest, module: str, name: str) -> int:
    (found,) = (place for place, _, symbol in kallsyms(guest, module) if symbol == name)
    return found


def test_the_modules_are_the_guests_own(guest: stepvisor.Guest) -> None:
    lines = [line.split() for line in guest.run("cat /proc/modules").output.splitlines()]

    ours = [
        (module.name, sum(map(len, module.areas)), module.code.start)
        for module in guest.modules.all
    ]

    assert ours == [(line[0], int(line[1]), int(line[5], 16)) for line in lines]
    assert sorted(name for name, *_ in ours) == sorted(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_every_symbol_is_the_guests_own(guest: stepvisor.Guest, name: str) -> None:
    """All but the assembler's marks and labels; a capital says that it is exported, as in `nm`."""
    (module,) = (module for module in guest.modules.all if module.name == name)

    ours = sorted((s.address, s.type.lower(), s.name) for s in module.symbols)

    theirs = [entry for entry in kallsyms(guest, name) if not entry[2].startswith(("$", ".L"))]
    assert ours == sorted((address, letter.lower(), text) for address, letter, text in theirs)
    assert len(ours) > 10


def test_a_function_by_name_and_by_address(guest: stepvisor.Guest) -> None:
    """Hits against the device's own count of what it sent."""
    place = address_of(guest, "dummy", "dummy_xmit")
    for probe in ("dummy:dummy_xmit", "dummy_xmit", f"{place:#x}"):
        before = int(guest.run(SENT).output)
        with guest.trace(probe) as trace:
            guest.run(SEND)
        sent = int(guest.run(SENT).output) - before

        assert trace.summary().hits == {"dummy:dummy_xmit": sent}
        assert sent == 7
        assert {int(hit.pc) for hit in trace} == {place}


def test_code_on_another_page(guest: stepvisor.Guest) -> None:
    """A module's pages lie anywhere in memory; each open of a file is one call."""
    with guest.trace("overlay:ovl_open", "overlay:ovl_open+0x4") as trace:
        guest.run("cd /tmp/o/merged; for i in 1 2 3 4 5; do cat file; done")

    assert trace.summary().hits == {"overlay:ovl_open": 5, "overlay:ovl_open+0x4": 5}
    place = address_of(guest, "overlay", "ovl_open")
    (overlay,) = (module for module in guest.modules.all if module.name == "overlay")
    assert place - overlay.code.start > 4096


def test_a_pattern(guest: stepvisor.Guest) -> None:
    """Every function of one module, those of the other not."""
    with guest.trace("over*:*") as trace:
        guest.run("cat /tmp/o/merged/file; ls /tmp/o/merged")
    hits = trace.summary().hits

    named = {name for _, letter, name in kallsyms(guest, "overlay") if letter in "tTwW"}
    labels = {label.partition("@")[0] for label in [*hits, *(r.label for r in trace.refused)]}
    assert labels <= {f"overlay:{name}" for name in named}
    assert len(hits) > 0.9 * len({place for place, t, _ in kallsyms(guest, "overlay") if t in "tT"})
    assert hits["overlay:ovl_open"] == 1


def test_steps_have_names(guest: stepvisor.Guest) -> None:
    with guest.step("dev_hard_start_xmit") as stepping:
        command = threading.Thread(target=guest.run, args=("ping -c 1 -W 1 10.9.8.7",))
        command.start()
        steps = [step for step in stepping if step.text]
        command.join()

    place = address_of(guest, "dummy", "dummy_xmit")
    (entry,) = (step for step in steps if step.address == place)
    assert (entry.symbol, entry.offset) == ("dummy:dummy_xmit", 0)
    inside = [step for step in steps if step.symbol.startswith("dummy")]
    assert {step.symbol for step in inside} <= {"dummy:dummy_xmit", "dummy"}
    assert [step.text for step in inside].count("ret") == 1
    assert all(step.symbol for step in steps)


def test_a_step_into_a_module(guest: stepvisor.Guest) -> None:
    place = address_of(guest, "dummy", "dummy_xmit")
    for start in ("dummy:dummy_xmit", "dummy_xmit", hex(place)):
        with guest.step(start, until="consume_skb") as stepping:
            command = threading.Thread(target=guest.run, args=("ping -c 1 -W 1 10.9.8.7",))
            command.start()
            steps = [step for step in stepping if step.text]
            command.join()

        assert steps[0].place == "dummy:dummy_xmit+0x0"
        assert steps[0].address == place


@pytest.mark.parametrize(
    ("probe", "error", "words"),
    [
        ("dummy:dummy_xmti", SymbolError, "module dummy has no symbol .* did you mean dummy_xmit"),
        ("dumy:dummy_xmit", SymbolError, "no module 'dumy' is loaded .* did you mean dummy?"),
        ("xfs:xfs_read", SymbolError, "there are dummy, overlay"),
        ("dummy:nothing*", SymbolError, "no function of a module in the guest fits"),
        ("dummy:dummy_xmit+0x2", ProbeError, r"try dummy:dummy_xmit\+0x0"),
        ("dummy:dummy_xmit+0x100000", SymbolError, "give a smaller offset"),
        ("cleanup_module", SymbolError, "ambiguous: there are"),
        ("no_such_function", SymbolError, "the kernel has no symbol 'no_such_function'"),
    ],
)
def test_what_cannot_be_probed(
    guest: stepvisor.Guest, probe: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        guest.trace(probe)


def test_data_is_no_code(guest: stepvisor.Guest) -> None:
    (dummy,) = (module for module in guest.modules.all if module.name == "dummy")
    place = next(area.stop - 8 for area in dummy.areas if area.stop != dummy.code.stop)

    with pytest.raises(ProbeError, match="no probe on dummy:"):
        guest.trace(hex(place))


def test_steps_that_wait_for_a_module_that_goes(guest: stepvisor.Guest) -> None:
    """For a function to be called, or to be the end: it never will be."""
    load = "insmod /dummy.ko; ip link set dummy0 up"
    wait = f"sleep 1000 | head -c 1 & {until_asleep('head')}; rmmod dummy; killall sleep; wait"
    reader = threading.Thread(target=guest.run, args=(wait, 600))
    with guest.step("ksys_read", "dummy:dummy_xmit", task="head", timeout=600) as stepping:
        reader.start()
        steps = list(stepping)
        reader.join()
    assert stepping.ending is Ending.MODULE
    assert steps[0].symbol == "ksys_read"

    guest.run(load)
    with guest.step("dummy:dummy_setup", timeout=600) as stepping:
        guest.run("rmmod dummy")
        with pytest.raises(GuestError, match="was not called before its module was unloaded"):
            list(stepping)
    for command in SET_UP[:1] + SET_UP[2:5]:
        guest.run(command)


def test_a_module_that_goes(guest: stepvisor.Guest) -> None:
    """Its probes end, and that is said; those elsewhere stay."""
    with guest.trace("dummy:dummy_xmit", "dummy:dummy_setup", "vfs_read") as trace:
        guest.run(SEND)
        assert trace.notices == ()
        assert guest.run("rmmod dummy").exit_code == 0
        summary = trace.summary()
        notices = trace.notices
        guest.run("cat /proc/version")

    assert summary.hits["dummy:dummy_xmit"] == 7
    assert [type(notice) for notice in notices] == [ProbeGone, ProbeGone]
    assert set(summary.ended) == {"dummy:dummy_xmit", "dummy:dummy_setup"}
    assert set(summary.ended.values()) == {"the module that it was in is gone"}
    assert trace.summary().ended == summary.ended
    assert trace.notices == notices
    assert trace.summary().hits["vfs_read"] > summary.hits["vfs_read"]
    with pytest.raises(SymbolError, match="no module 'dummy' is loaded"):
        guest.trace("dummy:dummy_xmit")
