"""Floating point and Advanced SIMD data processing: a sample of every group."""

from stepvisor.conformance.features import ALWAYS, Feature
from stepvisor.conformance.pattern import Fields, Instruction

__all__ = ("CRYPTO", "EXTENDED", "SCALAR", "SIMD", "TRANSFER")


def _single_or_double(f: Fields) -> bool:
    return f["t"] < 2


_SCALAR_FORMS: tuple[tuple[str, str], ...] = (
    (
        "fmul fdiv fadd fsub fmax fmin fmaxnm fminnm fnmul",
        "000 11110 tt 1 rrrrr oooo 10 qqqqq ppppp",
    ),
    ("fmadd fmsub fnmadd fnmsub", "000 11111 tt k rrrrr l vvvvv qqqqq ppppp"),
    ("fcmp fcmpe", "000 11110 tt 1 rrrrr 00 1000 qqqqq z 0000"),
    ("fccmp fccmpe", "000 11110 tt 1 rrrrr cccc 01 qqqqq k iiii"),
    ("fcsel", "000 11110 tt 1 rrrrr cccc 11 qqqqq ppppp"),
    ("fmov", "000 11110 tt 1 iiiiiiii 100 00000 ppppp"),
)


def _scalar_allocated(f: Fields) -> bool:
    return f.get("o", 0) <= 8


def _scalar(name: str, bits: str) -> tuple[Instruction, Instruction]:
    return (
        Instruction(name, bits, lambda f: _single_or_double(f) and _scalar_allocated(f)),
        Instruction(name, bits.replace("tt", "11"), _scalar_allocated, Feature.FP16),
    )


SCALAR = (
    *(form for name, bits in _SCALAR_FORMS for form in _scalar(name, bits)),
    Instruction(
        "fmov fabs fneg fsqrt frintn frintp frintm frintz frinta frintx frinti",
        "000 11110 tt 1 0 ooooo 10000 qqqqq ppppp",
        lambda f: f["t"] < 2 and f["o"] in {0, 1, 2, 3, 8, 9, 10, 11, 12, 14, 15},
    ),
    Instruction("fcvt", "000 11110 00 1 000101 10000 qqqqq ppppp"),
    Instruction("fcvt", "000 11110 01 1 000100 10000 qqqqq ppppp"),
    Instruction("fcvt", "000 11110 11 1 00010o 10000 qqqqq ppppp"),
    Instruction("fcvt", "000 11110 0t 1 000111 10000 qqqqq ppppp"),
    Instruction(
        "frint32z frint32x frint64z frint64x",
        "000 11110 0t 1 0100oo 10000 qqqqq ppppp",
        needs=Feature.FRINT,
    ),
)

_TO_INTEGER = "fcvtns fcvtnu fcvtps fcvtpu fcvtms fcvtmu fcvtzs fcvtzu fcvtas fcvtau"

TRANSFER = (
    Instruction(_TO_INTEGER, "s00 11110 0t 1 kk 00o 000000 qqqqq ddddd"),
    Instruction(_TO_INTEGER, "s00 11110 0t 1 00 10o 000000 qqqqq ddddd"),
    Instruction("scvtf ucvtf", "s00 11110 0t 1 00 01o 000000 nnnnn ppppp"),
    Instruction(
        "scvtf ucvtf", "s00 11110 0t 0 00 01o i jjjjj nnnnn ppppp", lambda f: bool(f["s"] or f["i"])
    ),
    Instruction(
        "fcvtzs fcvtzu",
        "s00 11110 0t 0 11 00o i jjjjj qqqqq ddddd",
        lambda f: bool(f["s"] or f["i"]),
    ),
    Instruction("fmov", "000 11110 00 1 00 110 000000 qqqqq ddddd"),
    Instruction("fmov", "000 11110 00 1 00 111 000000 nnnnn ppppp"),
    Instruction("fmov", "100 11110 01 1 00 110 000000 qqqqq ddddd"),
    Instruction("fmov", "100 11110 01 1 00 111 000000 nnnnn ppppp"),
    Instruction("fmov", "100 11110 10 1 01 110 000000 qqqqq ddddd"),
    Instruction("fmov", "100 11110 10 1 01 111 000000 nnnnn ppppp"),
    Instruction(
        "umov",
        "0k 0 01110000 iiiii 0 0111 1 qqqqq ddddd",
        lambda f: bool(f["i"] & 7) != bool(f["k"]) and bool(f["i"] & 15),
    ),
    Instruction(
        "smov",
        "0k 0 01110000 iiiii 0 0101 1 qqqqq ddddd",
        lambda f: bool(f["i"] & (7 if f["k"] else 3)),
    ),
    Instruction(
        "dup",
        "0k 0 01110000 iiiii 0 0001 1 nnnnn ppppp",
        lambda f: bool(f["i"] & (15 if f["k"] else 7)),
    ),
    Instruction("ins", "01 0 01110000 iiiii 0 0011 1 nnnnn ppppp", lambda f: bool(f["i"] & 15)),
)

_SAME_ANY = {1, 5, 6, 7, 8, 9, 10, 11, 16, 17}
_SAME_NARROW = {0, 2, 4, 12, 13, 14, 15, 18, 20, 21}


def _three_same(f: Fields) -> bool:
    o, s, u, full = f["o"], f["s"], f["u"], f["k"] == 1
    if o == 3:
        return True
    if o in _SAME_ANY:
        return s < 3 or full
    if o in _SAME_NARROW:
        return s < 3
    if o == 22:
        return s in {1, 2}
    if o == 19:
        return s == 0 if u else s < 3
    return o == 23 and not u and (s < 3 or full)


_FLOAT_SAME = {
    (0, 0): {0, 1, 2, 3, 4, 6, 7},
    (0, 1): {0, 1, 2, 6, 7},
    (1, 0): {0, 2, 3, 4, 5, 6, 7},
    (1, 1): {0, 2, 4, 5, 6},
}


def _float_same(f: Fields) -> bool:
    return f["o"] in _FLOAT_SAME[f["u"], f["a"]] and (not f["z"] or f["k"] == 1)


_TWO_MISC: dict[tuple[int, int], int] = {
    # (U, opcode): largest size
    (0, 0): 2,
    (1, 0): 1,
    (0, 1): 0,
    (0, 2): 2,
    (1, 2): 2,
    (0, 3): 3,
    (1, 3): 3,
    (0, 4): 2,
    (1, 4): 2,
    (0, 5): 0,
    (1, 5): 1,
    (0, 6): 2,
    (1, 6): 2,
    (0, 7): 3,
    (1, 7): 3,
    (0, 8): 3,
    (1, 8): 3,
    (0, 9): 3,
    (1, 9): 3,
    (0, 10): 3,
    (0, 11): 3,
    (1, 11): 3,
    (0, 18): 2,
    (1, 18): 2,
    (0, 20): 2,
    (1, 20): 2,
}


def _two_misc(f: Fields) -> bool:
    largest = _TWO_MISC.get((f["u"], f["o"]), -1)
    return f["s"] <= largest and (f["s"] < 3 or f["k"] == 1)


def _across(f: Fields) -> bool:
    known = {3, 10, 26} if f["u"] else {3, 10, 26, 27}
    return f["o"] in known and (f["s"] < 2 or (f["s"] == 2 and f["k"] == 1))


def _shift(f: Fields) -> bool:
    return bool(f["i"]) and (f["i"] < 8 or f["k"] == 1) and (f["u"] == 1 or f["o"] != 8)


_DIFFERENT = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12}


def _elements(f: Fields) -> bool:
    return bool(f["s"] < 3 or f["k"] == 1)


SIMD = (
    Instruction(
        "shadd uhadd sqadd uqadd srhadd urhadd and bic orr orn eor bsl bit bif shsub uhsub sqsub"
        " uqsub cmgt cmhi cmge cmhs sshl ushl sqshl uqshl"
        " srshl urshl sqrshl uqrshl smax umax smin umin"
        " sabd uabd saba uaba add sub cmtst cmeq mla mls mul pmul smaxp umaxp sminp uminp"
        " sqdmulh sqrdmulh addp",
        "0k u 01110 ss 1 rrrrr ooooo 1 qqqqq ppppp",
        _three_same,
    ),
    Instruction(
        "fmaxnm fmla fadd fmulx fcmeq fmax frecps fminnm fmls fsub fmin frsqrts fmaxnmp faddp fmul"
        " fcmge facge fmaxp fdiv fminnmp fabd fcmgt facgt fminp",
        "0k u 01110 a z 1 rrrrr 11 ooo 1 qqqqq ppppp",
        _float_same,
    ),
    Instruction(
        "rev64 rev32 rev16 saddlp uaddlp suqadd usqadd cls clz cnt not rbit sadalp uadalp sqabs"
        " sqneg cmgt cmge cmeq cmle cmlt abs neg xtn xtn2 sqxtun sqxtun2 sqxtn sqxtn2 uqxtn uqxtn2",
        "0k u 01110 ss 10000 ooooo 10 qqqqq ppppp",
        _two_misc,
    ),
    Instruction(
        "saddlv uaddlv smaxv umaxv sminv uminv addv",
        "0k u 01110 ss 11000 ooooo 10 qqqqq ppppp",
        _across,
    ),
    Instruction(
        "dup",
        "0k 0 01110000 iiiii 0 0000 1 qqqqq ppppp",
        lambda f: bool(f["i"] & (15 if f["k"] else 7)),
    ),
    Instruction(
        "ins",
        "01 1 01110000 iiiii 0 jjjj 1 qqqqq ppppp",
        lambda f: bool(f["i"] & 15),
    ),
    Instruction(
        "movi mvni orr bic", "0k o 0111100000 iii cccc 01 jjjjj ppppp", lambda f: f["c"] < 15
    ),
    Instruction(
        "sshr ushr ssra usra srshr urshr srsra ursra sri shl sli",
        "0k u 011110 iiii jjj 00 oo 0 1 qqqqq ppppp",
        lambda f: bool(f["i"]) and (f["i"] < 8 or f["k"] == 1),
    ),
    Instruction(
        "sri shl sli",
        "0k u 011110 iiii jjj 010o0 1 qqqqq ppppp",
        lambda f: _shift({**f, "o": 8 + 2 * f["o"]}),
    ),
    Instruction(
        "shrn shrn2 sqshrun sqshrun2",
        "0k u 011110 iiii jjj 10000 1 qqqqq ppppp",
        lambda f: 0 < f["i"] < 8,
    ),
    Instruction(
        "sshll sshll2 ushll ushll2",
        "0k u 011110 iiii jjj 10100 1 qqqqq ppppp",
        lambda f: 0 < f["i"] < 8,
    ),
    Instruction(
        "uzp1 trn1 zip1 uzp2 trn2 zip2",
        "0k 0 01110 ss 0 rrrrr 0 ooo 10 qqqqq ppppp",
        lambda f: f["o"] not in {0, 4} and _elements(f),
    ),
    Instruction(
        "ext",
        "0k 1 01110000 rrrrr 0 iiii 0 qqqqq ppppp",
        lambda f: f["k"] == 1 or f["i"] < 8,
    ),
    Instruction("tbl tbx", "0k 0 01110000 rrrrr 0 ll e 00 qqqqq ppppp"),
    Instruction(
        "saddl uaddl saddw uaddw ssubl usubl ssubw usubw addhn raddhn sabal uabal subhn rsubhn"
        " sabdl uabdl smlal umlal smlsl umlsl smull umull"
        " saddl2 uaddl2 saddw2 uaddw2 ssubl2 usubl2 ssubw2 usubw2 addhn2 raddhn2 sabal2 uabal2"
        " subhn2 rsubhn2 sabdl2 uabdl2 smlal2 umlal2 smlsl2 umlsl2 smull2 umull2",
        "0k u 01110 ss 1 rrrrr oooo 00 qqqqq ppppp",
        lambda f: f["o"] in _DIFFERENT and f["s"] < 3,
    ),
    Instruction("pmull pmull2", "0k 0 01110 00 1 rrrrr 1110 00 qqqqq ppppp", needs=ALWAYS),
    Instruction("sdot udot", "0k u 01110 10 0 rrrrr 1 0010 1 qqqqq ppppp", needs=Feature.DOTPROD),
    Instruction(
        "sqrdmlah sqrdmlsh",
        "0k 1 01110 ss 0 rrrrr 1 000o 1 qqqqq ppppp",
        lambda f: f["s"] in {1, 2},
        Feature.RDM,
    ),
)

CRYPTO = (
    Instruction(
        "aese aesd aesmc aesimc", "0100 1110 00 10100 001oo 10 qqqqq ppppp", needs=Feature.AES
    ),
    Instruction("pmull pmull2", "0k 0 01110 11 1 rrrrr 1110 00 qqqqq ppppp", needs=Feature.PMULL),
    Instruction(
        "sha1c sha1p sha1m sha1su0",
        "0101 1110 000 rrrrr 0 0oo 00 qqqqq ppppp",
        needs=Feature.SHA1,
    ),
    Instruction("sha1h sha1su1", "0101 1110 00 10100 0000o 10 qqqqq ppppp", needs=Feature.SHA1),
    Instruction(
        "sha256h sha256h2 sha256su1",
        "0101 1110 000 rrrrr 0 1oo 00 qqqqq ppppp",
        lambda f: f["o"] < 3,
        Feature.SHA256,
    ),
    Instruction("sha256su0", "0101 1110 00 10100 00010 10 qqqqq ppppp", needs=Feature.SHA256),
)


def _complex(f: Fields) -> bool:
    return f["s"] == 2 or (f["s"] == 3 and f["k"] == 1)


EXTENDED = (
    Instruction("fcmla", "0k 1 01110 ss 0 rrrrr 110oo 1 qqqqq ppppp", _complex, Feature.FCMA),
    Instruction("fcadd", "0k 1 01110 ss 0 rrrrr 111o0 1 qqqqq ppppp", _complex, Feature.FCMA),
    Instruction("fjcvtzs", "000 11110 01 1 11110 000000 qqqqq ddddd", needs=Feature.JSCVT),
    Instruction("bfdot", "0k 1 01110 010 rrrrr 11111 1 qqqqq ppppp", needs=Feature.BF16),
    Instruction("bfmmla", "01 1 01110 010 rrrrr 11101 1 qqqqq ppppp", needs=Feature.BF16),
    Instruction("bfcvtn bfcvtn2", "0k 0 01110 10 10000 10110 10 qqqqq ppppp", needs=Feature.BF16),
    Instruction("bfcvt", "000 11110 01 1 000110 10000 qqqqq ppppp", needs=Feature.BF16),
    Instruction("smmla ummla", "01 u 01110 100 rrrrr 10100 1 qqqqq ppppp", needs=Feature.I8MM),
    Instruction("usmmla", "01 0 01110 100 rrrrr 10101 1 qqqqq ppppp", needs=Feature.I8MM),
    Instruction("usdot", "0k 0 01110 100 rrrrr 10011 1 qqqqq ppppp", needs=Feature.I8MM),
    Instruction("fmlal fmlsl", "0k 0 01110 o01 rrrrr 11101 1 qqqqq ppppp", needs=Feature.FHM),
    Instruction("fmlal2 fmlsl2", "0k 1 01110 o01 rrrrr 11001 1 qqqqq ppppp", needs=Feature.FHM),
    Instruction("eor3 bcax", "110011100 0o rrrrr 0 vvvvv qqqqq ppppp", needs=Feature.SHA3),
    Instruction("rax1", "11001110011 rrrrr 100011 qqqqq ppppp", needs=Feature.SHA3),
    Instruction("xar", "11001110100 rrrrr iiiiii qqqqq ppppp", needs=Feature.SHA3),
    Instruction(
        "sha512h sha512h2 sha512su1",
        "11001110011 rrrrr 1000oo qqqqq ppppp",
        lambda f: f["o"] < 3,
        Feature.SHA512,
    ),
    Instruction("sha512su0", "11001110110 00000 100000 qqqqq ppppp", needs=Feature.SHA512),
    Instruction("sm3partw1 sm3partw2", "11001110011 rrrrr 11000o qqqqq ppppp", needs=Feature.SM3),
    Instruction("sm3ss1", "11001110010 rrrrr 0 vvvvv qqqqq ppppp", needs=Feature.SM3),
    Instruction(
        "sm3tt1a sm3tt1b sm3tt2a sm3tt2b",
        "11001110010 rrrrr 10 ii oo qqqqq ppppp",
        needs=Feature.SM3,
    ),
    Instruction("sm4e", "11001110110 00000 100001 qqqqq ppppp", needs=Feature.SM4),
    Instruction("sm4ekey", "11001110011 rrrrr 110010 qqqqq ppppp", needs=Feature.SM4),
)
"""What came later: complex numbers, BFloat16, products of matrices, SHA-3, SHA-512, SM3, SM4."""
