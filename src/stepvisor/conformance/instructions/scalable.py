"""SVE: a sample of every group. Offsets in vector lengths stay small, as vectors may be long."""

from stepvisor.conformance.features import Feature
from stepvisor.conformance.pattern import Fields, Instruction

__all__ = ("COMPUTE", "FIRST_FAULT", "LOAD", "PREDICATE", "STORE")

_SVE = Feature.SVE


def _not_bytes(f: Fields) -> bool:
    return f["s"] != 0


COMPUTE = (
    Instruction(
        "add sub sqadd uqadd sqsub uqsub",
        "00000100 ss 1 ppppp 000 ooo qqqqq rrrrr",
        lambda f: f["o"] not in {2, 3},
        _SVE,
    ),
    Instruction(
        "add sub subr",
        "00000100 ss 000 0oo 000 ggg qqqqq rrrrr",
        lambda f: f["o"] != 2,
        _SVE,
    ),
    Instruction(
        "mul smulh umulh",
        "00000100 ss 010 0oo 000 ggg qqqqq rrrrr",
        lambda f: f["o"] != 1,
        _SVE,
    ),
    Instruction("and orr eor bic", "00000100 oo 1 ppppp 001100 qqqqq rrrrr", None, _SVE),
    Instruction(
        "fadd fsub fmul frecps frsqrts",
        "01100101 ss 0 ppppp 000 ooo qqqqq rrrrr",
        lambda f: _not_bytes(f) and f["o"] not in {3, 4, 5},
        _SVE,
    ),
    Instruction(
        "fmla fmls fnmla fnmls", "01100101 ss 1 ppppp 0oo ggg qqqqq rrrrr", _not_bytes, _SVE
    ),
    Instruction("sel", "00000101 ss 1 ppppp 11 gggg qqqqq rrrrr", None, _SVE),
    Instruction("dup", "00000101 ss 1 00000 001110 nnnnn rrrrr", None, _SVE),
    Instruction("index", "00000100 ss 1 iiiii 010000 jjjjj rrrrr", None, _SVE),
    Instruction("index", "00000100 ss 1 nnnnn 010011 mmmmm rrrrr", None, _SVE),
    Instruction("cntb cnth cntw cntd", "00000100 ss 10 iiii 111000 ppppp ddddd", None, _SVE),
    Instruction("addvl", "00000100 001 nnnnn 01010 iiiiii ddddd", None, _SVE),
    Instruction("saddv", "00000100 ss 000 000 001 ggg qqqqq rrrrr", lambda f: f["s"] != 3, _SVE),
    Instruction("uaddv", "00000100 ss 000 001 001 ggg qqqqq rrrrr", None, _SVE),
)

PREDICATE = (
    Instruction("ptrue ptrues", "00100101 ss 01100o 111000 ppppp 0 dddd", None, _SVE),
    Instruction(
        "whilelt whilele whilelo whilels",
        "00100101 ss 1 mmmmm 000 w u 1 nnnnn e dddd",
        None,
        _SVE,
    ),
    Instruction(
        "cmphs cmphi cmpge cmpgt cmpeq cmpne",
        "00100100 ss 0 ppppp o0q ggg rrrrr e dddd",
        lambda f: f["o"] == 1 or f["q"] == 0,
        _SVE,
    ),
    Instruction("setffr", "0010 0101 0010 1100 1001 0000 0000 0000", None, _SVE),
    Instruction("rdffr", "0010 0101 0001 1001 1111 0000 0000 dddd", None, _SVE),
)

LOAD = (
    Instruction("ldr", "1000010110 000000 010 00i bbbbb rrrrr", None, _SVE),
    Instruction(
        "ld1b ld1h ld1w ld1d ld1sb ld1sh ld1sw",
        "1010010 oooo 0 000i 101 ggg bbbbb rrrrr",
        None,
        _SVE,
    ),
)

FIRST_FAULT = (
    Instruction(
        "ldff1b ldff1h ldff1w ldff1d ldff1sb ldff1sh ldff1sw",
        "1010010 oooo 11111 011 ggg bbbbb rrrrr",
        None,
        _SVE,
    ),
)

STORE = (
    Instruction("str", "1110010110 000000 010 00i bbbbb rrrrr", None, _SVE),
    Instruction(
        "st1b st1h st1w st1d",
        "1110010 mm ss 0 000i 111 ggg bbbbb rrrrr",
        lambda f: f["m"] <= f["s"],
        _SVE,
    ),
)
