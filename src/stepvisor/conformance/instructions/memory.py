"""Loads, stores and atomics. Offsets stay inside the scratch memory around the pointers."""

from stepvisor.conformance.features import Feature
from stepvisor.conformance.pattern import Fields, Instruction

__all__ = (
    "ATOMIC",
    "AUTHENTICATED",
    "GENERAL",
    "LITERAL",
    "ORDERED",
    "PAIR",
    "STRUCTURE",
    "UNPRIVILEGED",
    "VECTOR",
)

_LOADS_STORES = (
    "strb ldrb ldrsb strh ldrh ldrsh str ldr ldrsw prfm"
    " sturb ldurb ldursb sturh ldurh ldursh stur ldur ldursw prfum"
)
_UNPRIVILEGED = "sttrb ldtrb ldtrsb sttrh ldtrh ldtrsh sttr ldtr ldtrsw"
_SMALL = 64  # of a scaled offset: times 16 bytes


def _general(f: Fields) -> bool:
    """Size and opc of a load or store; no PRFM."""
    return f["o"] < 2 or f["s"] < 2 or (f["s"], f["o"]) == (2, 2)


def _general_or_prefetch(f: Fields) -> bool:
    return _general(f) or (f["s"] == 3 and f["o"] == 2)


def _pair(f: Fields) -> bool:
    return f["o"] in {0, 2} or (f["o"] == 1 and f["L"] == 1 and f["w"] > 0)


def _vector(f: Fields) -> bool:
    return f["o"] < 2 or f["s"] == 0


def _index(f: Fields) -> bool:
    return bool(f["h"] & 2)


GENERAL = (
    Instruction(_LOADS_STORES, "ss 111000 oo 0 iiiiiiiii 00 bbbbb ddddd", _general_or_prefetch),
    Instruction(_LOADS_STORES, "ss 111000 oo 0 iiiiiiiii k1 bbbbb ddddd", _general),
    Instruction(
        _LOADS_STORES,
        "ss 111001 oo iiiiiiiiiiii bbbbb ddddd",
        _general_or_prefetch,
        limits={"i": _SMALL},
    ),
    Instruction(
        _LOADS_STORES,
        "ss 111000 oo 1 xxxxx hhh S 10 bbbbb ddddd",
        lambda f: _index(f) and _general_or_prefetch(f),
    ),
)

LITERAL = (
    Instruction("ldr ldrsw prfm", "oo 011000 iiiiiiiiiiiiiiiiiii ddddd", limits={"i": 128}),
    Instruction(
        "ldr", "oo 011100 iiiiiiiiiiiiiiiiiii ppppp", lambda f: f["o"] < 3, limits={"i": 128}
    ),
)

UNPRIVILEGED = (Instruction(_UNPRIVILEGED, "ss 111000 oo 0 iiiiiiiii 10 bbbbb ddddd", _general),)

AUTHENTICATED = (
    Instruction(
        "ldraa ldrab",
        "11 111000 m i 1 jjjjjjjjj w 1 bbbbb ddddd",
        lambda f: (f["i"], f["j"] >> 6) in {(0, 0), (1, 7)},
        Feature.PAUTH,
    ),
)

PAIR = (
    Instruction(
        "stp ldp ldpsw stnp ldnp",
        "oo 101 0 0 ww L iiiiiii eeeee bbbbb ddddd",
        lambda f: f["d"] != f["e"] and _pair(f),
    ),
    Instruction(
        "stp ldp stnp ldnp",
        "oo 101 1 0 ww L iiiiiii qqqqq bbbbb ppppp",
        lambda f: f["p"] != f["q"] and f["o"] < 3,
    ),
)

VECTOR = (
    Instruction(_LOADS_STORES, "ss 111100 oo 0 iiiiiiiii 00 bbbbb ppppp", _vector),
    Instruction(_LOADS_STORES, "ss 111100 oo 0 iiiiiiiii k1 bbbbb ppppp", _vector),
    Instruction(
        _LOADS_STORES, "ss 111101 oo iiiiiiiiiiii bbbbb ppppp", _vector, limits={"i": _SMALL}
    ),
    Instruction(
        _LOADS_STORES,
        "ss 111100 oo 1 xxxxx hhh S 10 bbbbb ppppp",
        lambda f: _index(f) and _vector(f),
    ),
)

_MULTIPLE = "st1 st2 st3 st4 ld1 ld2 ld3 ld4"
_SINGLE = "st1 st2 st3 st4 ld1 ld2 ld3 ld4 ld1r ld2r ld3r ld4r"


def _multiple(f: Fields) -> bool:
    one = f["o"] in {2, 6, 7, 10}
    return (one or f["o"] in {0, 4, 8}) and (one or f["s"] != 3 or f["k"] == 1)


def _single(f: Fields) -> bool:
    scale, s, size = f["o"] >> 1, f["S"], f["s"]
    if scale == 0:
        return True
    if scale == 1:
        return not size & 1
    if scale == 2:
        return size == 0 or (size == 1 and s == 0)
    return f["L"] == 1 and s == 0


STRUCTURE = (
    Instruction(_MULTIPLE, "0 k 0011000 L 000000 oooo ss bbbbb ppppp", _multiple),
    Instruction(_MULTIPLE, "0 k 0011001 L 0 xxxxx oooo ss bbbbb ppppp", _multiple),
    Instruction(_MULTIPLE, "0 k 0011001 L 0 11111 oooo ss bbbbb ppppp", _multiple),
    Instruction(_SINGLE, "0 k 0011010 L r 00000 ooo S ss bbbbb ppppp", _single),
    Instruction(_SINGLE, "0 k 0011011 L r xxxxx ooo S ss bbbbb ppppp", _single),
    Instruction(_SINGLE, "0 k 0011011 L r 11111 ooo S ss bbbbb ppppp", _single),
)

ORDERED = (
    Instruction("stlrb ldarb stlrh ldarh stlr ldar", "ss 001000 1 L 0 11111 1 11111 bbbbb ddddd"),
    Instruction(
        "stllrb ldlarb stllrh ldlarh stllr ldlar",
        "ss 001000 1 L 0 11111 0 11111 bbbbb ddddd",
        needs=Feature.LOR,
    ),
    Instruction(
        "ldaprb ldaprh ldapr", "ss 111000 101 11111 1100 00 bbbbb ddddd", needs=Feature.RCPC
    ),
    Instruction(
        "stlurb ldapurb ldapursb stlurh ldapurh ldapursh stlur ldapur ldapursw",
        "ss 011001 oo 0 iiiiii000 00 bbbbb ddddd",
        _general,
        Feature.RCPC2,
    ),
)


def _names(*stems: str) -> str:
    return " ".join(
        f"{s}{o}{z}" for s in stems for o in ("", "a", "l", "al") for z in ("", "b", "h")
    )


ATOMIC = (
    Instruction(
        _names("ldadd", "ldclr", "ldeor", "ldset", "ldsmax", "ldsmin", "ldumax", "ldumin"),
        "ss 111000 ar 1 mmmmm 0 ooo 00 bbbbb ddddd",
        needs=Feature.LSE,
    ),
    Instruction(_names("swp"), "ss 111000 vr 1 mmmmm 1 000 00 bbbbb ddddd", needs=Feature.LSE),
    Instruction(_names("cas"), "ss 001000 1 L 1 eeeee o 11111 bbbbb mmmmm", needs=Feature.LSE),
    Instruction(_names("casp"), "0s 001000 0 L 1 EEEEE o 11111 bbbbb TTTTT", needs=Feature.LSE),
)
