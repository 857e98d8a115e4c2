"""A32. r0 to r7 are read and written, r8 and r9 point into memory, r10 holds a small number."""

from collections.abc import Callable

from stepvisor.conformance.pattern import Fields, Instruction

__all__ = ("DATA", "MEMORY")

_CONDITIONS = {"c": 15}
_COMPARISONS = range(8, 12)
_MOVES = (13, 15)


def _has_three_operands(f: Fields) -> bool:
    return f["o"] not in (*_COMPARISONS, *_MOVES)


def _has_write_back(f: Fields) -> bool:
    """Post-indexed with W set is another instruction, an unprivileged one."""
    return not (f["p"] == 0 and f["w"] == 1)


def _is_extra(f: Fields) -> bool:
    """Halfwords, signed ones, and pairs, of which the first register is even."""
    return bool(f["h"]) and _has_write_back(f) and (f["L"] == 1 or f["h"] == 1 or f["d"] % 2 == 0)


def _family(
    mnemonics: str, bits: str, where: Callable[[Fields], bool] | None = None
) -> Instruction:
    return Instruction(mnemonics, f"cccc {bits}", where, limits=_CONDITIONS)


_THREE = "and eor sub rsb add adc sbc rsc orr bic"

DATA = (
    _family(_THREE, "000 oooo s 0nnn 0ddd iiiii tt 0 0mmm", _has_three_operands),
    _family(_THREE, "000 oooo s 0nnn 0ddd 0kkk 0 tt 1 0mmm", _has_three_operands),
    _family(_THREE, "001 oooo s 0nnn 0ddd rrrr iiiiiiii", _has_three_operands),
    _family("tst teq cmp cmn", "000 10oo 1 0nnn 0000 iiiii tt 0 0mmm"),
    _family("tst teq cmp cmn", "001 10oo 1 0nnn 0000 rrrr iiiiiiii"),
    _family("mov mvn lsl lsr asr ror rrx", "000 11o1 s 0000 0ddd iiiii tt 0 0mmm"),
    _family("mov mvn", "001 11o1 s 0000 0ddd rrrr iiiiiiii"),
    _family("movw movt", "0011 0o00 iiii 0ddd iiiiiiiiiiii"),
    _family("mul", "0000 000s 0ddd 0000 0mmm 1001 0nnn"),
    _family("mla", "0000 001s 0ddd 0aaa 0mmm 1001 0nnn"),
    _family(
        "umull umlal smull smlal",
        "0000 1uls 0ddd 0eee 0mmm 1001 0nnn",
        lambda f: f["d"] != f["e"],
    ),
    _family("sdiv udiv", "0111 00u1 0ddd 1111 0mmm 0001 0nnn"),
    _family("clz", "0001 0110 1111 0ddd 1111 0001 0mmm"),
    _family("rev rev16 rbit revsh", "0110 1o11 1111 0ddd 1111 p011 0mmm"),
    _family("sxtb sxth uxtb uxth", "01101 u1h 1111 0ddd rr00 0111 0mmm"),
    _family("sbfx ubfx", "01111 u1 wwwww 0ddd lllll 101 0nnn", lambda f: f["l"] + f["w"] < 32),
    _family("qadd qsub qdadd qdsub", "00010 oo0 0nnn 0ddd 0000 0101 0mmm"),
    _family("uadd8", "0110 0101 0nnn 0ddd 1111 1001 0mmm"),
    _family("sel", "0110 1000 0nnn 0ddd 1111 1011 0mmm"),
)

MEMORY = (
    _family("str ldr strb ldrb", "010 puBwL 100b 0ddd 0000000 iiiii", _has_write_back),
    _family("str ldr strb ldrb", "011 puBwL 100b 0ddd 00000 00 0 1010", _has_write_back),
    _family("strh ldrh ldrsb ldrsh ldrd strd", "000 pu1wL 100b 0ddd 0000 1hh1 iiii", _is_extra),
    _family(
        "ldm ldmda ldmdb ldmib stm stmda stmdb stmib",
        "100 pu0wL 100b 00000000 rrrrrrrr",
        lambda f: f["r"] > 0,
    ),
    _family("push str stmdb", "1001 0010 1101 00000000 rrrrrrrr", lambda f: f["r"] > 0),
    _family("pop ldr ldm", "1000 1011 1101 00000000 rrrrrrrr", lambda f: f["r"] > 0),
    _family("lda", "0001 1001 100b 0ddd 1100 1001 1111"),
    _family("stl", "0001 1000 100b 1111 1100 1001 0mmm"),
    _family("ldr", "0101 u001 1111 0ddd 0000000 iiiii"),  # PC-relative
)
