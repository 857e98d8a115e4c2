"""Disassembly, with objdump as the oracle."""

import re
import subprocess
from pathlib import Path

import pytest

from stepvisor.arch import aarch32
from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.arch.disassemble import (
    disassemble,
    is_call,
    is_exception_return,
    is_register_branch,
)


def objdump(words: list[int], directory: Path) -> list[str]:
    """One line of text for each word."""
    file = directory / "words"
    file.write_bytes(b"".join(word.to_bytes(4, "little") for word in words))
    listing = subprocess.run(
        ["aarch64-linux-gnu-objdump", "-D", "-b", "binary", "-m", "aarch64", str(file)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.findall(r"^\s+[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$", listing, re.MULTILINE)


def test_loads_that_the_library_does_not_know(tmp_path: Path) -> None:
    """LDTR of every size and form with one register in both places."""
    words = [
        size << 30 | 0x38000800 | form << 22 | offset << 12 | 3 << 5 | 3
        for size in range(4)
        for form in range(4)
        for offset in (0, 8, 0x1F8)
    ]
    expected = objdump(words, tmp_path)

    assert len(expected) == len(words)
    for word, theirs in zip(words, expected, strict=True):
        ours = disassemble(word, 0)
        if theirs.startswith("ldtr"):
            plain = re.sub(r"#(-?)(0x[0-9a-f]+)", lambda m: f"#{m[1]}{int(m[2], 16)}", ours)
            assert plain == theirs.replace("\t", " "), hex(word)
        else:
            assert ours.startswith((".inst", "sttr")), hex(word)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0xD503201F, "nop"),
        (0x94000002, "bl #0x1008"),
        (0xD65F03C0, "ret"),
        (0x00000000, "udf #0"),
        (0xFFFFFFFF, ".inst 0xffffffff"),
    ],
)
def test_text(word: int, text: str) -> None:
    assert disassemble(word, 0x1000) == text


@pytest.mark.parametrize(
    ("word", "call", "register", "exception"),
    [
        (0x94000002, True, False, False),  # bl
        (0xD63F0060, True, True, False),  # blr x3
        (0xD73F0861, True, True, False),  # blraa x3, x1
        (0xD65F03C0, False, True, False),  # ret
        (0xD65F0BFF, False, True, False),  # retaa
        (0xD61F0060, False, True, False),  # br x3
        (0xD69F03E0, False, True, True),  # eret
        (0xD69F0BFF, False, True, True),  # eretaa
        (0x14000002, False, False, False),  # b
        (0xD503201F, False, False, False),  # nop
        (0xD4000001, False, False, False),  # svc #0
    ],
)
def test_kinds(word: int, *, call: bool, register: bool, exception: bool) -> None:
    assert (is_call(word), is_register_branch(word), is_exception_return(word)) == (
        call,
        register,
        exception,
    )


@pytest.mark.parametrize(
    ("word", "instruction_set", "if_then", "text"),
    [
        (0xE0811002, InstructionSet.A32, 0, "add r1, r1, r2"),
        (0x00000000, InstructionSet.A32, 0, "andeq r0, r0, r0"),
        (0xFFFFFFFF, InstructionSet.A32, 0, ".inst 0xffffffff"),
        (0xEB000002, InstructionSet.A32, 0, "bl #0x1010"),
        (0x3101, InstructionSet.T32, 0, "adds r1, #1"),
        (0x3101, InstructionSet.T32, 0x08, "addeq r1, #1"),
        (0x3101, InstructionSet.T32, 0x18, "addne r1, #1"),
        (0xF000F801, InstructionSet.T32, 0, "bl #0x1006"),
        (0xF000F801, InstructionSet.T32, 0xE8, "bl #0x1006"),
        (0xB8FF, InstructionSet.T32, 0, ".inst 0xb8ff"),
        (0xFFFFFFFF, InstructionSet.T32, 0x08, ".inst 0xffffffff"),
    ],
)
def test_text_of_aarch32(
    word: int, instruction_set: InstructionSet, if_then: int, text: str
) -> None:
    assert disassemble(word, 0x1000, instruction_set, if_then) == text


@pytest.mark.parametrize(
    ("word", "instruction_set", "call", "branch"),
    [
        (0xEB000002, InstructionSet.A32, True, False),  # bl
        (0xFB000002, InstructionSet.A32, True, False),  # blx, to 2 mod 4
        (0xFA000002, InstructionSet.A32, True, False),  # blx
        (0x012FFF33, InstructionSet.A32, True, False),  # blxeq r3
        (0xE12FFF13, InstructionSet.A32, False, False),  # bx r3
        (0x0A000002, InstructionSet.A32, False, True),  # beq
        (0xE8BD8010, InstructionSet.A32, False, False),  # pop {r4, pc}
        (0xF000F801, InstructionSet.T32, True, False),  # bl
        (0xF000E802, InstructionSet.T32, True, False),  # blx
        (0x4798, InstructionSet.T32, True, False),  # blx r3
        (0x4718, InstructionSet.T32, False, False),  # bx r3
        (0xBD00, InstructionSet.T32, False, False),  # pop {pc}
        (0xE7FE, InstructionSet.T32, False, True),  # b
        (0xD0FE, InstructionSet.T32, False, True),  # beq
        (0xB108, InstructionSet.T32, False, True),  # cbz r0
        (0xF0008000, InstructionSet.T32, False, True),  # beq.w
        (0xF000B800, InstructionSet.T32, False, True),  # b.w
        (0xF3BF8F4F, InstructionSet.T32, False, False),  # dsb sy
    ],
)
def test_kinds_of_aarch32(
    word: int, instruction_set: InstructionSet, *, call: bool, branch: bool
) -> None:
    assert aarch32.is_call(instruction_set, word) == call
    assert aarch32.is_direct_branch(instruction_set, word) == branch


def test_if_then() -> None:
    assert aarch32.if_then(0x6000_0030 | 0b0001_10 << 10 | 0b01 << 25) == 0b0001_1001
    assert aarch32.if_then(0x0600_FC00) == aarch32.IT_OUTSIDE
