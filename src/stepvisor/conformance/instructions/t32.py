"""T32. r0 to r3 are written, r0 to r7 read, r6 and r7 point into memory, r5 holds a small number.

One of 16 bits has zeros above it.
"""

from collections.abc import Callable

from stepvisor.conformance.pattern import Fields, Instruction

__all__ = ("DATA", "DATA_WIDE", "MEMORY", "MEMORY_WIDE")

_OPERATIONS = frozenset({0, 1, 2, 3, 4, 8, 10, 11, 13, 14})
_WIDE = "and bic orr orn eor add adc sbc sub rsb"


def _short(mnemonics: str, bits: str, where: Callable[[Fields], bool] | None = None) -> Instruction:
    return Instruction(mnemonics, f"{16 * '0'} {bits}", where)


def _is_modified_immediate(f: Fields) -> bool:
    """One that is repeated in the register is not zero."""
    return f["o"] in _OPERATIONS and not (f["i"] == 0 and f["j"] in {1, 2, 3} and not f["k"])


def _has_index(f: Fields) -> bool:
    return f["w"] == 1 or (f["p"] == 1 and f["u"] == 0)


DATA = (
    _short("lsl lsr asr mov", "000 oo iiiii mmm 0dd", lambda f: f["o"] < 3),
    _short("add sub mov", "00011 io mmm nnn 0dd"),
    _short("mov cmp add sub", "001 oo 0dd iiiiiiii"),
    _short(
        "and eor lsl lsr asr adc sbc ror tst rsb cmp cmn orr mul bic mvn neg",
        "010000 oooo mmm 0dd",
    ),
    _short("add mov", "010001 o0 0 0mmm 0dd"),
    _short("sxth sxtb uxth uxtb", "10110010 oo mmm 0dd"),
    _short("rev rev16 revsh", "10111010 oo mmm 0dd", lambda f: f["o"] != 2),
)

DATA_WIDE = (
    Instruction(_WIDE, "1110101 oooo s 0nnn 0iii 00dd iitt 0mmm", lambda f: f["o"] in _OPERATIONS),
    Instruction(_WIDE, "11110i0 oooo s 0nnn 0jjj 00dd kkkkkkkk", _is_modified_immediate),
    Instruction("movw movt", "11110i10 o100 jjjj 0jjj 00dd kkkkkkkk"),
    Instruction("mul", "111110110000 0nnn 1111 00dd 0000 0mmm"),
    Instruction("mla", "111110110000 0nnn 0aaa 00dd 0000 0mmm"),
    Instruction("sdiv udiv", "1111101110u1 0nnn 1111 00dd 1111 0mmm"),
)

MEMORY = (
    _short("str ldr strb ldrb", "011 BL 0iiii 11b 0dd"),
    _short("strh ldrh", "1000 L 0iiii 11b 0dd"),
    _short("str strh strb ldrsb ldr ldrh ldrb ldrsh", "0101 ooo 101 11b 0dd"),
    _short("str ldr", "1001 L 0dd 0000iiii"),  # relative to SP,
    _short("ldr", "01001 0dd 0000iiii"),  # and to PC
    _short("push pop", "1011 L10 0 0000rrrr", lambda f: f["r"] > 0),
    _short("stm ldm", "1100 L 11b 0000rrrr", lambda f: f["r"] > 0),
)

MEMORY_WIDE = (
    Instruction(
        "str ldr strb ldrb strh ldrh",
        "11111000 1ssL 011b 00dd 0000000iiiii",
        lambda f: f["s"] < 3,
    ),
    Instruction("ldrsb ldrsh", "11111001 10s1 011b 00dd 0000000iiiii"),
    Instruction(
        "str ldr strb ldrb strh ldrh",
        "11111000 0ssL 011b 00dd 1puw 000iiiii",
        lambda f: f["s"] < 3 and _has_index(f),
    ),
    Instruction(
        "ldrd strd",
        "1110100pu1wL 011b 00dd 00ee 00000iii",
        lambda f: f["p"] + f["w"] > 0 and f["d"] != f["e"],
    ),
    Instruction(
        "ldm stm ldmdb stmdb",
        "1110100po0wL 011b 000000000000rrrr",
        lambda f: f["p"] != f["o"] and f["r"] not in {0, 1, 2, 4, 8},
    ),
)
