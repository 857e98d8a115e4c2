"""Where probes go and how the displaced instruction runs."""

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from stepvisor.errors import ProbeError, SymbolError
from stepvisor.monitor.interface import Plan
from stepvisor.probe.decode import Flow, classify, is_load_exclusive, is_store_exclusive
from stepvisor.probe.emulate import decode
from stepvisor.probe.place import Code, place
from stepvisor.probe.plan import Method, step_plan
from stepvisor.probe.resolve import Target, resolve
from stepvisor.symbols.table import SymbolTable

AS = shutil.which("aarch64-linux-gnu-as")
OBJCOPY = "aarch64-linux-gnu-objcopy"

needs_assembler = pytest.mark.skipif(AS is None, reason="needs aarch64-linux-gnu-as")


def assemble(lines: Sequence[str], directory: Path) -> list[int]:
    """Words of instructions, from GNU as."""
    source, obj, flat = (directory / name for name in ("a.s", "a.o", "a.bin"))
    source.write_text("\n".join([".arch armv8.7-a+memtag", "here:", *lines, ""]))
    subprocess.run([str(AS), "-o", obj, source], check=True)
    subprocess.run([OBJCOPY, "-O", "binary", obj, flat], check=True)
    return np.frombuffer(flat.read_bytes(), "<u4").tolist()


@needs_assembler
@pytest.mark.parametrize(
    ("flow", "lines"),
    [
        (Flow.IMMEDIATE, ["b here", "bl here", "b.eq here", "b.nv here", "cbz w1, here"]),
        (Flow.IMMEDIATE, ["cbnz x30, here", "tbz w3, #5, here", "tbnz x3, #63, here"]),
        (Flow.REGISTER, ["br x1", "blr x30", "ret", "ret x5", "retaa", "retab"]),
        (Flow.REGISTER, ["braa x1, x2", "blraaz x3", "brabz x4", "blrab x5, sp"]),
        (Flow.TRAP, ["svc #0", "hvc #1", "smc #2", "brk #0x800", "hlt #3", "dcps1"]),
        (Flow.TRAP, ["eret", "eretaa", "eretab", "drps", "wfi", "wfe", "wfet x0", "wfit x30"]),
        (Flow.LINEAR, ["nop", "yield", "sev", "sevl", "bti c", "paciasp", "autiasp", "isb"]),
        (Flow.LINEAR, ["dsb sy", "dmb ish", "clrex", "mrs x0, daif", "msr daifset, #2", "esb"]),
        (Flow.LINEAR, ["ldr x0, here", "adr x0, here", "adrp x0, here", "stp x29, x30, [sp]"]),
        (Flow.LINEAR, ["tlbi vmalle1", "dc civac, x0", "at s1e1r, x0", "casal x0, x1, [x2]"]),
    ],
)
def test_flow(flow: Flow, lines: list[str], tmp_path: Path) -> None:
    words = assemble(lines, tmp_path)

    assert {line: classify(word) for line, word in zip(lines, words, strict=True)} == dict.fromkeys(
        lines, flow
    )


@needs_assembler
def test_exclusives_and_their_neighbours(tmp_path: Path) -> None:
    sizes = ("xrb w1", "xrh w1", "xr w1", "xr x1")
    loads = [f"ld{a}{size}, [x2]" for a in ("", "a") for size in sizes]
    loads += ["ldxp w1, w3, [x2]", "ldaxp x1, x3, [sp]"]
    stores = [
        f"st{a}x{size[1:].split()[0]} w4, {size.split()[1]}, [x2]"
        for a in ("", "l")
        for size in sizes
    ]
    stores += ["stxp w4, w1, w3, [x2]", "stlxp w4, x1, x3, [sp]"]
    others = [
        "ldar x1, [x2]",
        "stlr x1, [x2]",
        "ldlar x1, [x2]",
        "stllr x1, [x2]",
        "ldarb w1, [x2]",
    ]
    others += ["casp x0, x1, x2, x3, [x4]", "caspal w0, w1, w2, w3, [x4]", "cas w0, w1, [x2]"]
    others += ["casb w0, w1, [x2]", "ldadd x0, x1, [x2]", "swp x0, x1, [x2]", "ldapr x0, [x1]"]
    others += ["ldr x0, [x1]", "str x0, [x1]", "ldp x0, x1, [x2]", "ldxr x0, [x1]"]
    words = assemble([*loads, *stores, *others], tmp_path)
    kinds = [(is_load_exclusive(word), is_store_exclusive(word)) for word in words]

    assert kinds[: len(loads)] == [(True, False)] * len(loads)
    assert kinds[len(loads) : len(loads) + len(stores)] == [(False, True)] * len(stores)
    assert kinds[-len(others) : -1] == [(False, False)] * (len(others) - 1)
    assert kinds[-1] == (True, False)


def test_plans() -> None:
    """One of each, and the two whose register is not where the others have it."""
    assert step_plan(0xD503201F) is Plan.STEP_LINEAR
    assert step_plan(0x14000000) is Plan.STEP_BRANCH_IMMEDIATE
    assert step_plan(0xD65F03C0) is Plan.STEP_BRANCH_REGISTER
    assert step_plan(0xD69F03E0) is Plan.STEP_OTHER
    assert step_plan(0xD65F0BFF) is Plan.STEP_OTHER
    assert step_plan(0xD65F0FFF) is Plan.STEP_OTHER


NOP, SVC, RET, B = 0xD503201F, 0xD4000001, 0xD65F03C0, 0x14000000

BASE = 0xFFFF_8000_8000_0000
TEXT, DATA, INIT, END = 0x10000, 0x20000, 0x30000, 0x40000


def table(base: int = BASE) -> SymbolTable:
    symbols = [
        ("_text", "T", 0),
        ("_stext", "T", TEXT),
        ("first", "T", TEXT),
        ("second", "t", TEXT + 0x40),
        ("twice", "t", TEXT + 0x80),
        ("twice", "t", TEXT + 0x100),
        ("_etext", "T", DATA),
        ("value", "D", DATA),
        ("start_kernel", "T", INIT),
    ]
    names, types, offsets = zip(*symbols, strict=True)
    addresses = np.array(offsets, np.uint64) + np.uint64(base)
    return SymbolTable(names, "".join(types), addresses, base, base + END)


@pytest.mark.parametrize(
    ("text", "label", "offset"),
    [
        ("first", "first", TEXT),
        (" second+0x8 ", "second+0x8", TEXT + 0x48),
        ("second+0x0", "second", TEXT + 0x40),
        ("twice@2", "twice", TEXT + 0x100),
        (f"{BASE + TEXT + 4:#x}", "first+0x4", TEXT + 4),
    ],
)
def test_resolve(text: str, label: str, offset: int) -> None:
    assert resolve(table(), text) == Target(label, offset)


def test_an_address_of_the_running_kernel() -> None:
    running = table(BASE + 0x1234_0000)

    assert resolve(table(), f"{running.link_base + TEXT + 0x44:#X}".replace("X", "x"), running) == (
        Target("second+0x4", TEXT + 0x44)
    )


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("frist", SymbolError, "did you mean first"),
        ("twice", SymbolError, "ambiguous"),
        ("first+2", ProbeError, r"try first\+0x0"),
        ("first+0x7", ProbeError, r"try first\+0x4"),
        ("value", ProbeError, "data, not code"),
        ("start_kernel", ProbeError, "freed after boot"),
        ("0x10", SymbolError, "not in the kernel"),
        ("", SymbolError, "write NAME"),
    ],
)
def test_what_cannot_be_probed(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        resolve(table(), text, table(BASE + 0x1234_0000))


def code(words: dict[int, int]) -> Code:
    """NOPs but for `words`, by offset from the Image's first byte."""
    memory = bytearray(struct.pack("<I", NOP) * (DATA // 4))
    for offset, word in words.items():
        struct.pack_into("<I", memory, offset, word)

    def read(address: int, size: int) -> bytes:
        offset = address - 0x4800_0000
        assert offset >= TEXT
        assert offset + size <= DATA
        return bytes(memory[offset : offset + size])

    return Code(read, virtual_base=BASE, physical_base=0x4800_0000, text=range(TEXT, DATA))


def test_requests_come_from_the_running_code() -> None:
    """At both ends of the text, where there is nothing to look at beyond."""
    last = DATA - 4
    targets = [Target("first", TEXT), Target("again", TEXT), Target("last", last)]
    first, second = place(code({TEXT: RET, last: B}), targets, 10)

    assert (first.slot, first.label, first.word, first.plan) == (10, "first", RET, Plan.EMULATE)
    assert (first.va, first.ipa) == (BASE + TEXT, 0x4800_0000 + TEXT)
    assert (second.slot, second.label, second.word) == (11, "last", B)
    assert second.plan is Plan.EMULATE
    assert (first.emulation, second.emulation) == (decode(RET), decode(B))


def test_the_user_chooses_how_an_instruction_runs() -> None:
    running = code({TEXT: RET, TEXT + 8: SVC})
    emulable, other = Target("first", TEXT), Target("first+0x8", TEXT + 8)
    (stepped,) = place(running, [emulable], 1, Method.STEP)
    (emulated,) = place(running, [emulable], 1, Method.EMULATE)

    assert (stepped.plan, stepped.emulation) == (Plan.STEP_BRANCH_REGISTER, None)
    assert emulated.plan is Plan.EMULATE
    assert place(running, [other], 1)[0].plan is Plan.STEP_OTHER
    with pytest.raises(ProbeError, match=r"no probe on first\+0x8.* made to take an exception"):
        place(running, [other], 1, Method.EMULATE)
