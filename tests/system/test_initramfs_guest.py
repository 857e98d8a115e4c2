"""The guest's user space keeps the promises of `stepvisor.guest.initramfs`."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from plain_guest import PlainGuest

from stepvisor.guest.distribution import fetch
from stepvisor.guest.initramfs import INTERACTIVE_WORD, READY_LINE, build_initramfs

pytestmark = pytest.mark.system

_TRACING = "/sys/kernel/tracing"
_KPROBE = f"{_TRACING}/events/kprobes/own"


@pytest.fixture(scope="module", params=["6.12", "6.1"])
def guest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PlainGuest]:
    directory = tmp_path_factory.mktemp("guest")
    files = fetch(release=request.param)
    initrd = directory / "initrd"
    script = b"#!/bin/sh\necho extra $1\n"
    initrd.write_bytes(build_initramfs(files.busybox.read_bytes(), {"root/extra": script}))
    with PlainGuest(files, directory, initrd=initrd) as guest:
        before = guest.wait_ready()
        assert "not found" not in before
        assert "No such file" not in before
        yield guest


def test_commands_run_without_echo_or_prompt(guest: PlainGuest) -> None:
    assert guest.run("echo one; echo two >&2; false") == ("one\ntwo\n", 1)
    assert guest.run("/root/extra file") == ("extra file\n", 0)


def test_standard_input_of_commands_is_empty(guest: PlainGuest) -> None:
    assert guest.run("cat; echo $?") == ("0\n", 0)


def test_what_is_mounted(guest: PlainGuest) -> None:
    mounted, _ = guest.run("cat /proc/mounts")

    for kind, place in (
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("tracefs", _TRACING),
    ):
        assert f"{kind} {place} {kind}" in mounted


def test_busybox_commands_are_there(guest: PlainGuest) -> None:
    output, code = guest.run("for i in dd sha256sum poweroff seq taskset; do which $i; done")

    assert (len(output.split()), code) == (5, 0)


def test_long_lines_arrive_whole(guest: PlainGuest) -> None:
    """A terminal in its ordinary mode would cut a line at 4,096 characters."""
    text = "0123456789" * 2000

    assert guest.run(f"echo {text}") == (f"{text}\n", 0)


def test_the_shell_reads_no_single_bytes(guest: PlainGuest) -> None:
    """Reads of one byte in the guest are dd's: counted by the guest's own kprobe."""
    guest.run(f"echo 'p:own vfs_read count=%x2' > {_TRACING}/kprobe_events")
    guest.run(f"echo > {_TRACING}/trace; echo 'count==1' > {_KPROBE}/filter")
    guest.run(f"echo 1 > {_KPROBE}/enable")
    guest.run("{ dd if=/dev/zero of=/dev/null bs=1 count=321; }")
    guest.run("true; echo some more words for the shell to read")
    guest.run(f"echo 0 > {_KPROBE}/enable")
    trace, _ = guest.run(f"cat {_TRACING}/trace")
    guest.run(f"echo > {_TRACING}/kprobe_events")

    readers = re.findall(r"^\s*(\S+)-\d+ .* count=0x1$", trace, re.MULTILINE)
    assert readers == ["dd"] * 321


@pytest.mark.parametrize("line", ["exit 3", "echo (", "echo ${"])
def test_a_shell_that_ends_is_followed_by_another(guest: PlainGuest, line: str) -> None:
    guest.type(f"{line}\n}}\n")
    guest.wait_ready()

    assert guest.run("echo again") == ("again\n", 0)


def test_poweroff_ends_the_machine(guest: PlainGuest) -> None:
    """Last in this module: nothing is left to talk to."""
    guest.type("poweroff -f\n")

    assert guest.process.wait(60) == 0


def test_shell_for_people(tmp_path: Path) -> None:
    with PlainGuest(fetch(), tmp_path, append=INTERACTIVE_WORD) as guest:
        guest.expect(READY_LINE)
        guest.expect("# ")
        guest.type("sh -c 'echo started; exec sleep 1000'\n")
        guest.expect("\r\nstarted\r\n")
        guest.type("\x03")
        guest.expect("^C")
        guest.type("echo $((6*7))\n")
        guest.expect("\r\n42\r\n")
