"""Guests whose user space is AArch32: Debian's armhf busybox as init, shell and programs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from armhf import BASE, armhf_busybox, program
from command_line import CommandLine
from plain_guest import PlainGuest

import stepvisor
from stepvisor import Answer, Event, GuestEvent
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs
from stepvisor.trace.events import Callback
from stepvisor.trace.step import Step

pytestmark = pytest.mark.system

CODE = BASE + 0x1000

SIGTRAP_EXIT = "133"
"""128 and the number of the signal."""

BKPT_A32 = (0xE1200070, 0xE3A00000, 0xE3A07001, 0xEF000000)
"""bkpt #0; mov r0, #0; mov r7, #1; svc #0: without the first, exit(0)."""
BKPT_T32 = bytes.fromhex("05be 0020 0127 00df")
"""bkpt #5; movs r0, #0; movs r7, #1; svc #0."""

WALK = bytes.fromhex(
    "8470a0e3 0000a0e3 000000ef"  # mov r7, #132; mov r0, #0; svc #0: getpgid(0)
    "030000eb 0a0000fa"  # bl arm; blx thumb
    "0000a0e3 0170a0e3 000000ef"  # mov r0, #0; mov r7, #1; svc #0: exit(0)
    "10402de9 000050e1 fcffff1b 0740a003"  # arm: push; cmp; blne arm; moveq
    "04509fe5 35ff2fe1 1080bde8 41100100"  # ldr; blx r5; pop {r4, pc}; thumb
    "00b5 8042 08bf 0131 14bf 0122 01f10402"  # thumb: push; cmp; it; add; ite; mov; add.w
    "00f001f8 00bd 00bf 7047"  # bl leaf; pop {pc}; leaf: nop; bx lr
)
_THUMB = [
    (0x40, "push {lr}", 0),
    (0x42, "cmp r0, r0", 0),
    (0x44, "it eq", 0),
    (0x46, "addeq r1, #1", 0),
    (0x48, "ite ne", 0),
    (0x4A, "movne r2, #1", 0),
    (0x4C, "addeq.w r2, r1, #4", 0),
    (0x50, "bl #0x11056", 0),
    (0x56, "nop", 1),
    (0x58, "bx lr", 1),
    (0x54, "pop {pc}", 0),
]
WALKED = [
    (0x0C, "bl #0x11020", 0),
    (0x20, "push {r4, lr}", 1),
    (0x24, "cmp r0, r0", 1),
    (0x28, "blne #0x11020", 1),
    (0x2C, "moveq r4, #7", 1),
    (0x30, "ldr r5, [pc, #4]", 1),
    (0x34, "blx r5", 1),
    *((offset, text, 2 + depth) for offset, text, depth in _THUMB),
    (0x38, "pop {r4, pc}", 1),
    (0x10, "blx #0x11040", 0),
    *((offset, text, 1 + depth) for offset, text, depth in _THUMB),
    (0x14, "mov r0, #0", 0),
    (0x18, "mov r7, #1", 0),
    (0x1C, "svc #0", 0),
]
"""Offset, text and depth of what it executes at EL0 from its first system call to its second."""
SKIPPED = 0x46

EXCLUSIVE = bytes.fromhex(
    "8470a0e3 0000a0e3 000000ef"  # mov r7, #132; mov r0, #0; svc #0: getpgid(0)
    "10d04de2 0510a0e3 00108de5 04108de5"  # sub sp, #16; mov r1, #5; str r1, twice
    "9f0f9de1 010080e2 902f8de1 000052e3 faffff1a"  # ldrex; add; strex; cmp; bne
    "9f4fbde1 014094e2 942fade1 000052e3 faffff1a"  # ldrexd; adds; strexd; cmp; bne
    "020000fa 00009de5 0170a0e3 000000ef"  # blx thumb; ldr r0, [sp]; mov r7, #1; svc #0
    "5de8 000f 0130 4de8 0002 002a f8d1 7047"  # thumb: ldrex; adds; strex; cmp; bne; bx lr
)
EXCLUSIVE_STEPS = 4 + 5 + 5 + 1 + 6 + 3
"""At EL0 behind its first system call: each loop once."""
EXCLUSIVE_EXIT = 5 + 3

PROGRAMS = {
    "root/exclusive": program(EXCLUSIVE),
    "root/walk": program(WALK),
    "root/bkpt": program(BKPT_A32),
    "root/bkpt-t32": program(BKPT_T32, thumb=True),
}
BKPTS = "for name in bkpt bkpt-t32; do ./$name; echo $?; done"


@pytest.fixture(scope="module")
def initrd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of user space is 32-bit."""
    path = tmp_path_factory.mktemp("armhf") / "initrd"
    path.write_bytes(build_initramfs(armhf_busybox(), PROGRAMS))
    return path


@pytest.fixture(scope="module")
def guest(initrd: Path) -> Iterator[stepvisor.Guest]:
    with stepvisor.boot(initrd=initrd, cpus=1) as guest:
        guest.wait_ready()
        yield guest


def test_breakpoint_events(guest: stepvisor.Guest) -> None:
    """Each BKPT is reported before the guest's kernel sees it, and left out."""
    seen: list[tuple[str, int]] = []

    def skip(event: GuestEvent) -> Answer:
        seen.append((event.instruction_set.name, event.word))
        return Answer.SKIP

    with guest.on(Event.SOFTWARE_BREAKPOINT)(skip):
        assert guest.run(BKPTS).output == "0\n0\n"
    assert seen == [("A32", 0xE1200070), ("T32", 0xBE05)]


def walk(guest: stepvisor.Guest, answer: Callback | None = None) -> list[Step]:
    """Steps of the program at EL0, from its first system call to its second."""
    with guest.step(
        "__arm64_sys_getpgid",
        until=6000,
        el0=True,
        task="walk",
        over=["__schedule"],
        answer=answer,
        timeout=120,
    ) as stepping:
        guest.run("./walk", 120)
        return [step for step in stepping if step.el == 0 and step.text]


def test_steps_of_user_code(guest: stepvisor.Guest) -> None:
    steps = walk(guest)

    assert [(s.address - CODE, s.text, s.depth) for s in steps] == WALKED
    assert [old - new for old, new in (steps[1].changed["sp"],)] == [8]
    assert steps[4].changed == {"r4": (0, 7)}


def test_skipping(guest: stepvisor.Guest) -> None:
    """Each addition to r1 in an IT block is left out; its block ends there."""
    skipped: list[GuestEvent] = []

    def skip(event: GuestEvent) -> Answer:
        if event.pc != CODE + SKIPPED:
            return Answer.CONTINUE
        skipped.append(event)
        return Answer.SKIP

    steps = walk(guest, skip)

    assert len(skipped) == 2
    assert [(s.address - CODE, s.text) for s in steps] == [
        (offset, text) for offset, text, _ in WALKED if offset != SKIPPED
    ]


def step_all(guest: stepvisor.Guest, command: str, entry: str, task: str) -> list[Step]:
    """Steps at EL0, to the end of the task."""
    with guest.step(
        entry, until=100_000, el0=True, task=task, over=["__schedule"], timeout=120
    ) as stepping:
        guest.run(command, 120)
        return [step for step in stepping if step.el == 0 and step.text]


def test_exclusive_sequences(guest: stepvisor.Guest) -> None:
    """LDREX, LDREXD and their stores, in A32 and T32: stepped they succeed at the first attempt."""
    steps = step_all(guest, "./exclusive", "__arm64_sys_getpgid", "exclusive")

    assert guest.run("./exclusive").exit_code == EXCLUSIVE_EXIT
    assert [step.text.split()[0] for step in steps].count("strex") == 2
    assert len(steps) == EXCLUSIVE_STEPS


def test_a_program_is_stepped_to_its_end(guest: stepvisor.Guest) -> None:
    """Its C library has locks made of exclusives."""
    steps = step_all(guest, "cat /proc/version", "do_sys_openat2", "cat")

    assert any(step.text.startswith("strex") for step in steps)
    assert steps[-1].text == "svc #0"


def test_trace(command_line: CommandLine, initrd: Path) -> None:
    done = command_line.run(
        *("trace", "-e", "vfs_read", "--where", "x2 == 3", "--initrd", str(initrd)),
        *("--run", "dd if=/dev/zero of=/dev/null bs=3 count=300 2>/dev/null"),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "vfs_read  300 hits" in done.stdout


def test_commands_and_boot_time(guest: stepvisor.Guest) -> None:
    assert guest.run("head -c 5 /bin/busybox | tail -c 1 | od -An -tu1").output.split() == ["1"]
    assert guest.run("exit 3").exit_code == 3
    assert 0 < guest.boot_seconds < 600


@pytest.fixture(scope="module")
def natively(files: GuestFiles, initrd: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What breakpoint instructions do without us."""
    with PlainGuest(files, tmp_path_factory.mktemp("plain"), initrd=initrd) as plain:
        plain.wait_ready()
        return plain.run(BKPTS)[0]


def test_breakpoint_instructions(guest: stepvisor.Guest, natively: str) -> None:
    """Freely, with an SMC probe, with a BRK probe, afterwards."""
    assert [line for line in natively.splitlines() if line.isdigit()] == [SIGTRAP_EXIT] * 2

    assert guest.run(BKPTS).output == natively
    for trap in ("smc", "brk"):
        with guest.trace("vfs_read", trap=trap):
            assert guest.run(BKPTS).output == natively
        assert guest.run(BKPTS).output == natively
