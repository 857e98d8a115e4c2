"""Data processing on general registers."""

from stepvisor.conformance.features import Feature
from stepvisor.conformance.pattern import Fields, Instruction

__all__ = ("FLAGS", "IMMEDIATE", "POINTER_AUTHENTICATION", "REGISTER")


def _shift_fits(f: Fields) -> bool:
    return bool(f["s"]) or f["i"] < 32


def _is_bitmask(f: Fields) -> bool:
    """N:imms names an element size and a run of ones shorter than it."""
    if f["N"] and not f["s"]:
        return False
    length = (f["N"] << 6 | ~f["j"] & 63).bit_length() - 1
    if length < 1:
        return False
    levels = (1 << length) - 1
    return f["j"] & levels != levels


IMMEDIATE = (
    Instruction("add adds sub subs", "soo 100010 h iiiiiiiiiiii nnnnn ddddd"),
    Instruction("and orr eor ands", "soo 100100 N iiiiii jjjjjj nnnnn ddddd", _is_bitmask),
    Instruction(
        "movn movz movk",
        "soo 100101 hh iiiiiiiiiiiiiiii ddddd",
        lambda f: f["o"] != 1 and (f["s"] == 1 or f["h"] < 2),
    ),
    Instruction("adr adrp", "oii 10000 jjjjjjjjjjjjjjjjjjj ddddd"),
    Instruction(
        "sbfm bfm ubfm",
        "soo 100110 N iiiiii jjjjjj nnnnn ddddd",
        lambda f: f["o"] != 3 and f["N"] == f["s"] and (f["s"] == 1 or max(f["i"], f["j"]) < 32),
    ),
    Instruction(
        "extr",
        "s00 100111 N 0 mmmmm iiiiii nnnnn ddddd",
        lambda f: f["N"] == f["s"] and _shift_fits(f),
    ),
)

REGISTER = (
    Instruction(
        "and bic orr orn eor eon ands bics",
        "soo 01010 hh N mmmmm iiiiii nnnnn ddddd",
        _shift_fits,
    ),
    Instruction(
        "add adds sub subs",
        "soo 01011 hh 0 mmmmm iiiiii nnnnn ddddd",
        lambda f: f["h"] != 3 and _shift_fits(f),
    ),
    Instruction(
        "add adds sub subs",
        "soo 01011 001 mmmmm hhh iii nnnnn ddddd",
        limits={"i": 5},
    ),
    Instruction("adc adcs sbc sbcs", "soo 11010000 mmmmm 000000 nnnnn ddddd"),
    Instruction("ccmn ccmp", "so1 11010010 mmmmm cccc 00 nnnnn 0 iiii"),
    Instruction("ccmn ccmp", "so1 11010010 jjjjj cccc 10 nnnnn 0 iiii"),
    Instruction("csel csinc csinv csneg", "so0 11010100 mmmmm cccc 0p nnnnn ddddd"),
    Instruction("udiv sdiv", "s00 11010110 mmmmm 00001o nnnnn ddddd"),
    Instruction("lslv lsrv asrv rorv", "s00 11010110 mmmmm 0010oo nnnnn ddddd"),
    Instruction(
        "crc32b crc32h crc32w crc32x crc32cb crc32ch crc32cw crc32cx",
        "s00 11010110 mmmmm 010coo nnnnn ddddd",
        lambda f: (f["o"] == 3) == bool(f["s"]),
        Feature.CRC32,
    ),
    Instruction(
        "rbit rev16 rev rev32 clz cls",
        "s10 11010110 00000 000iii nnnnn ddddd",
        lambda f: f["i"] < 6 and (f["i"] != 3 or f["s"] == 1),
    ),
    Instruction("madd msub", "s00 11011 000 mmmmm o aaaaa nnnnn ddddd"),
    Instruction("smaddl smsubl umaddl umsubl", "100 11011 u01 mmmmm o aaaaa nnnnn ddddd"),
    Instruction("smulh umulh", "100 11011 u10 mmmmm 0 11111 nnnnn ddddd"),
)

FLAGS = (
    Instruction("rmif", "101 11010000 iiiiii 00001 nnnnn 0 jjjj", needs=Feature.FLAGM),
    Instruction("setf8 setf16", "001 11010000 000000 s 0010 nnnnn 0 1101", needs=Feature.FLAGM),
    Instruction("cfinv", "1101 0101 0000 0000 0100 0000 000 11111", needs=Feature.FLAGM),
    Instruction("xaflag", "1101 0101 0000 0000 0100 0000 001 11111", needs=Feature.FLAGM2),
    Instruction("axflag", "1101 0101 0000 0000 0100 0000 010 11111", needs=Feature.FLAGM2),
)

POINTER_AUTHENTICATION = (
    Instruction("pacga", "100 11010110 mmmmm 001100 nnnnn ddddd", needs=Feature.PAUTH),
    Instruction(
        "pacia pacib pacda pacdb autia autib autda autdb",
        "110 11010110 00001 000ooo nnnnn ddddd",
        needs=Feature.PAUTH,
    ),
    Instruction(
        "paciza pacizb pacdza pacdzb autiza autizb autdza autdzb",
        "110 11010110 00001 001ooo 11111 ddddd",
        needs=Feature.PAUTH,
    ),
    Instruction("xpaci xpacd", "110 11010110 00001 01000o 11111 ddddd", needs=Feature.PAUTH),
    # PACIASP and its kin are hints: without the extension they do nothing, on every model.
    Instruction(
        "hint",
        "1101 0101 0000 0011 0010 0011 ooo 11111",
    ),
    Instruction("hint", "110101010000001100100001oo0 11111"),
    Instruction("hint", "1101 0101 0000 0011 0010 0000 111 11111"),
)
