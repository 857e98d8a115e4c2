"""Exclusive instructions as declared, against a disassembler."""

import random

import capstone
import pytest

from stepvisor._gen import encodings

_MODES = {
    "A64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    "A32": (capstone.CS_ARCH_ARM, capstone.CS_MODE_ARM | capstone.CS_MODE_V8),
    "T32": (capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_V8),
}
_PREFIXES = {
    "LOAD": ("ldrex", "ldaex", "ldxr", "ldaxr", "ldxp", "ldaxp"),
    "STORE": ("strex", "stlex", "stxr", "stlxr", "stxp", "stlxp"),
    "CLEAR": ("clrex",),
}
_BASES = {
    "A64": ((0x3F00_0000, 0x0800_0000), (0xFFFF_F000, 0xD503_3000)),
    "A32": ((0x0F80_00F0, 0x0180_0090), (0xFFF0_0000, 0xF570_0000)),
    "T32": ((0xFE40_0000, 0xE840_0000), (0xFFFF_FF00, 0xF3BF_8F00)),
}
"""Mask and value of what lies around them."""
_CLREX = {"A64": 0xD503_3F5F, "A32": 0xF57F_F01F, "T32": 0xF3BF_8F2F}
_ANOTHER_PROFILE = ("tt", "ttt", "tta", "ttat")
"""Test Target, which has the place of STREX to PC in cores without AArch64."""
_COUNT = 8_000


@pytest.mark.parametrize("kind", _PREFIXES)
@pytest.mark.parametrize("state", _MODES)
def test_the_groups_are_what_a_disassembler_calls_them(state: str, kind: str) -> None:
    decoder = capstone.Cs(*_MODES[state])
    patterns = getattr(encodings, f"{state}_{kind}_EXCLUSIVE")
    found = 0
    for word in _words(state):
        instruction = next(decoder.disasm(_code(state, word), 0), None)
        if instruction is None or instruction.size != 4:
            continue
        if instruction.mnemonic in _ANOTHER_PROFILE:
            continue
        fits = any(word & mask == value for mask, value in patterns)
        named = instruction.mnemonic.startswith(_PREFIXES[kind])
        assert fits == named, f"{state} {word:#010x} {instruction.mnemonic} {instruction.op_str}"
        found += fits
    assert found >= (100 if kind != "CLEAR" else 1)


def _words(state: str) -> list[int]:
    numbers = random.Random(1)
    words = [_CLREX[state]]
    for number in range(_COUNT):
        mask, value = _BASES[state][number % len(_BASES[state])]
        word = numbers.getrandbits(32) & ~mask | value
        # What should be ones, or they are not decoded at all.
        ones = numbers.choice((0, 0xF, 0xF00, 0xF0F, 0x1F_0000, 0x1F_7C00))
        words.append((word | ones) & ~mask | value)
    return words


def _code(state: str, word: int) -> bytes:
    if state == "T32":
        return (word >> 16).to_bytes(2, "little") + (word & 0xFFFF).to_bytes(2, "little")
    return word.to_bytes(4, "little")
