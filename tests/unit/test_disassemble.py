"""Disassembly, with objdump as the oracle."""

import re
import subprocess
from pathlib import Path

import pytest

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
