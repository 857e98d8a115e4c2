"""The oracle of the decoder: what objdump reads in an instruction, as the operation that it is.

From the text to the descriptor, so that no bit of the encoding is looked at a second time.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stepvisor.monitor.emulation import NO_OPERANDS, Emulation, Operand, Operation
from stepvisor.probe.emulate import decode

__all__ = ("OBJDUMP", "differences")

OBJDUMP = shutil.which("aarch64-linux-gnu-objdump")

_LINE = re.compile(r"\s*([0-9a-f]+):\s+[0-9a-f]{8}\s+(\S+)\s*([^/]*)")
_OPERAND = re.compile(r"\[[^]]*\]!?|[^,\s][^,]*")
_CONDITIONS = [
    "eq",
    "ne",
    "cs",
    "cc",
    "mi",
    "pl",
    "vs",
    "vc",
    "hi",
    "ls",
    "ge",
    "lt",
    "gt",
    "le",
    "al",
    "nv",
]
_VECTOR = re.compile(r"[{\[]*[bdhpqsvz]\d")
_SHIFTS = ["lsl", "lsr", "asr", "ror"]
_EXTENDS = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"]
_ONES = (1 << 64) - 1


def _disassemble(words: Sequence[int]) -> list[str]:
    """Each as objdump prints it without aliases; targets as if each were at address 0."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(np.array(words, "<u4").tobytes())
        file.flush()
        options = ["-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases"]
        command = [str(OBJDUMP), *options, file.name]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [match for line in listing.splitlines() if (match := _LINE.match(line))]
    assert len(lines) == len(words)
    return [_at_zero(int(line[1], 16), line[2], line[3].strip()) for line in lines]


_RELATIVE = re.compile(r"(b|bl|b\.\w+|cbn?z|tbn?z|adr|adrp)")
_TARGET = re.compile(r"(.*, )?0x[0-9a-f]+")


def _at_zero(address: int, mnemonic: str, operands: str) -> str:
    if _RELATIVE.fullmatch(mnemonic) and _TARGET.fullmatch(operands):
        head, comma, target = operands.rpartition(", ")
        base = address & ~0xFFF if mnemonic == "adrp" else address
        operands = f"{head}{comma}{(int(target, 16) - base) & _ONES:#x}"
    return f"{mnemonic} {operands}".rstrip()


def differences(words: Sequence[int]) -> list[str]:
    """Where the decoder is of another opinion than objdump, a known divergence apart."""
    return [
        f"{word:08x} {text}: {decode(word)}, not {_expected(text)}"
        for word, text in zip(words, _disassemble(words), strict=True)
        if decode(word) != (None if _is_unpredictable(word) else _expected(text))
    ]


def _is_unpredictable(word: int) -> bool:
    """SMULH and UMULH with a zero in the five bits that should be one: objdump does not look."""
    return word & 0xFF60_8000 == 0x9B40_0000 and word >> 10 & 31 != 31


def _expected(text: str) -> Emulation | None:
    """What the decoder must make of it; None: nothing."""
    mnemonic, _, rest = text.partition(" ")
    operands = [part.strip() for part in _OPERAND.findall(rest)]
    if any(_VECTOR.match(operand) for operand in operands):
        return None
    if mnemonic.startswith("b."):
        return _conditional_branch(mnemonic, operands)
    maker = _MAKERS.get(mnemonic)
    return maker(mnemonic, operands) if maker else None


class _Register(NamedTuple):
    number: int
    wide: bool
    is_sp: bool


def _register(text: str) -> _Register:
    if text in {"sp", "wsp"}:
        return _Register(31, text == "sp", is_sp=True)
    number = 31 if text[1:] == "zr" else int(text[1:])
    return _Register(number, text[0] == "x", is_sp=False)


def _number(text: str) -> int:
    return int(text.removeprefix("#"), 0) & _ONES


def _flag(condition: object, operand: Operand) -> Operand:
    return operand if condition else NO_OPERANDS


def _shift(operands: Sequence[str], default: int = 0) -> tuple[str, int]:
    if not operands:
        return "lsl", default
    name, _, amount = operands[0].partition(" ")
    return name, _number(amount) if amount else 0


def _add(mnemonic: str, operands: list[str]) -> Emulation:
    d, n = _register(operands[0]), _register(operands[1])
    operation = Operation.ADD if mnemonic.startswith("add") else Operation.SUB
    operand = _flag(n.wide, Operand.WIDE) | _flag(n.is_sp, Operand.SP_N)
    operand |= _flag(d.is_sp, Operand.SP_D) | _flag(mnemonic.endswith("s"), Operand.SET_FLAGS)
    name, amount = _shift(operands[3:])
    if operands[2].startswith("#"):
        immediate = _number(operands[2]) << amount
        operand |= Operand.IMMEDIATE
        return Emulation(operation, operand, d=d.number, n=n.number, immediate=immediate)
    m = _register(operands[2]).number
    if name in _EXTENDS or n.is_sp or d.is_sp:
        if name == "lsl":
            name = "uxtx" if n.wide else "uxtw"
        operand |= Operand.EXTEND
        kind = _EXTENDS.index(name)
    else:
        kind = _SHIFTS.index(name)
    return Emulation(operation, operand, d=d.number, n=n.number, m=m, shift=amount, shift_type=kind)


_LOGICAL = {
    "and": (Operation.AND, NO_OPERANDS),
    "ands": (Operation.AND, Operand.SET_FLAGS),
    "bic": (Operation.AND, Operand.INVERT),
    "bics": (Operation.AND, Operand.INVERT | Operand.SET_FLAGS),
    "orr": (Operation.ORR, NO_OPERANDS),
    "orn": (Operation.ORR, Operand.INVERT),
    "eor": (Operation.EOR, NO_OPERANDS),
    "eon": (Operation.EOR, Operand.INVERT),
}


def _logical(mnemonic: str, operands: list[str]) -> Emulation:
    d, n = _register(operands[0]), _register(operands[1])
    operation, operand = _LOGICAL[mnemonic]
    operand |= _flag(d.wide, Operand.WIDE) | _flag(d.is_sp, Operand.SP_D)
    if operands[2].startswith("#"):
        operand |= Operand.IMMEDIATE
        immediate = _number(operands[2])
        return Emulation(operation, operand, d=d.number, n=n.number, immediate=immediate)
    name, amount = _shift(operands[3:])
    return Emulation(
        operation,
        operand,
        d=d.number,
        n=n.number,
        m=_register(operands[2]).number,
        shift=amount,
        shift_type=_SHIFTS.index(name),
    )


def _move(mnemonic: str, operands: list[str]) -> Emulation:
    d, (_, amount) = _register(operands[0]), _shift(operands[2:])
    wide, value = _flag(d.wide, Operand.WIDE), _number(operands[1])
    if mnemonic == "movk":
        return Emulation(Operation.INSERT, wide, d=d.number, shift=amount, immediate=value)
    value <<= amount
    if mnemonic == "movn":
        value ^= _ONES
    return Emulation(Operation.MOVE, wide, d=d.number, immediate=value)


def _address(mnemonic: str, operands: list[str]) -> Emulation:
    operation = Operation[mnemonic.upper()]
    d = _register(operands[0]).number
    return Emulation(operation, Operand.WIDE, d=d, immediate=_number(operands[1]))


_BITFIELD = {
    "ubfm": Operation.BITFIELD_UNSIGNED,
    "sbfm": Operation.BITFIELD_SIGNED,
    "bfm": Operation.BITFIELD_INSERT,
}


def _bitfield(mnemonic: str, operands: list[str]) -> Emulation:
    d, n = _register(operands[0]), _register(operands[1])
    immediate = _number(operands[2]) + (_number(operands[3]) << 8)
    operation = _BITFIELD[mnemonic]
    wide = _flag(d.wide, Operand.WIDE)
    return Emulation(operation, wide, d=d.number, n=n.number, immediate=immediate)


def _extract(_: str, operands: list[str]) -> Emulation:
    d, n, m = (_register(text) for text in operands[:3])
    wide, shift = _flag(d.wide, Operand.WIDE), _number(operands[3])
    return Emulation(Operation.EXTRACT, wide, d=d.number, n=n.number, m=m.number, shift=shift)


_SELECT = {
    "csel": NO_OPERANDS,
    "csinc": Operand.INCREMENT,
    "csinv": Operand.INVERT,
    "csneg": Operand.INVERT | Operand.INCREMENT,
}


def _select(mnemonic: str, operands: list[str]) -> Emulation:
    d, n, m = (_register(text) for text in operands[:3])
    operand = _SELECT[mnemonic] | _flag(d.wide, Operand.WIDE)
    condition = _CONDITIONS.index(operands[3])
    return Emulation(Operation.SELECT, operand, d=d.number, n=n.number, m=m.number, a=condition)


def _compare(mnemonic: str, operands: list[str]) -> Emulation:
    n = _register(operands[0])
    operand = _flag(n.wide, Operand.WIDE) | _flag(mnemonic == "ccmn", Operand.INVERT)
    m = immediate = 0
    if operands[1].startswith("#"):
        operand |= Operand.IMMEDIATE
        immediate = _number(operands[1])
    else:
        m = _register(operands[1]).number
    return Emulation(
        Operation.COMPARE,
        operand,
        n=n.number,
        m=m,
        a=_CONDITIONS.index(operands[3]),
        shift=_number(operands[2]),
        immediate=immediate,
    )


def _computation(operation: Operation, set_flags: Operand = NO_OPERANDS) -> "_Maker":
    def make(_: str, operands: list[str]) -> Emulation | None:
        registers = [_register(text) for text in operands]
        operand = set_flags | _flag(registers[0].wide, Operand.WIDE)
        return Emulation(
            operation, operand, **dict(zip("dnma", (r.number for r in registers), strict=False))
        )

    return make


def _high_product(mnemonic: str, operands: list[str]) -> Emulation:
    d, n, m = (_register(text).number for text in operands)
    return Emulation(Operation[mnemonic.upper()], Operand.WIDE, d=d, n=n, m=m, a=31)


def _reverse(_: str, operands: list[str]) -> Emulation | None:
    wide = operands[0].startswith("x")
    operation = Operation.REV64 if wide else Operation.REV32
    return _computation(operation)("", operands)


def _branch(mnemonic: str, operands: list[str]) -> Emulation:
    link = _flag(mnemonic == "bl", Operand.LINK)
    return Emulation(Operation.BRANCH, link, immediate=_number(operands[0]))


def _conditional_branch(mnemonic: str, operands: list[str]) -> Emulation:
    condition = _CONDITIONS.index(mnemonic.removeprefix("b."))
    return Emulation(Operation.BRANCH_IF, a=condition, immediate=_number(operands[0]))


def _branch_zero(mnemonic: str, operands: list[str]) -> Emulation:
    n = _register(operands[0])
    operand = _flag(n.wide, Operand.WIDE) | _flag(mnemonic == "cbnz", Operand.NONZERO)
    return Emulation(Operation.BRANCH_ZERO, operand, n=n.number, immediate=_number(operands[1]))


def _branch_bit(mnemonic: str, operands: list[str]) -> Emulation:
    return Emulation(
        Operation.BRANCH_BIT,
        _flag(mnemonic == "tbnz", Operand.NONZERO),
        n=_register(operands[0]).number,
        shift=_number(operands[1]),
        immediate=_number(operands[2]),
    )


def _branch_register(mnemonic: str, operands: list[str]) -> Emulation:
    operand = _flag(mnemonic == "blr", Operand.LINK) | _flag(mnemonic == "ret", Operand.RETURN)
    n = _register(operands[0]).number if operands else 30
    return Emulation(Operation.BRANCH_REGISTER, operand, n=n)


_PLAIN = re.compile(r"\[(x\d+)(?:, #(-?\d+))?\]")
_LOAD = re.compile(r"ldu?r(?P<signed>s?)(?P<size>[bhw]?)")
_SIZES = {"b": 1, "h": 2, "w": 4}


def _load(mnemonic: str, operands: list[str]) -> Emulation | None:
    place, kind = _PLAIN.fullmatch(operands[-1]), _LOAD.fullmatch(mnemonic)
    if place is None or kind is None:
        return None
    d = _register(operands[0])
    return Emulation(
        Operation.LOAD,
        _flag(d.wide, Operand.WIDE) | _flag(kind["signed"], Operand.SIGNED),
        d=d.number,
        n=int(place[1][1:]),
        a=_SIZES.get(kind["size"], 8 if d.wide else 4),
        immediate=_number(place[2] or "0"),
    )


_HINTS = dict.fromkeys((0, 1, 32, 34, 36, 38), Operation.NOP) | {25: Operation.PACIASP}


def _hint(_: str, operands: list[str]) -> Emulation | None:
    operation = _HINTS.get(_number(operands[0]))
    if operation is Operation.PACIASP:
        return Emulation(operation, Operand.WIDE, d=30, n=30)
    return Emulation(operation) if operation is not None else None


def _prefetch(_mnemonic: str, _operands: list[str]) -> Emulation:
    return Emulation(Operation.NOP)


def _system_register(_: str, operands: list[str]) -> Emulation | None:
    if operands[1] != "sp_el0":
        return None
    return Emulation(Operation.READ_SP_EL0, Operand.WIDE, d=_register(operands[0]).number)


_Maker = Callable[[str, list[str]], Emulation | None]

_LOADS = (f"ld{u}r{size}" for u in ("", "u") for size in ("", "b", "h", "sb", "sh", "sw"))

_COMPUTATIONS = (
    *(Operation.ADC, Operation.SBC, Operation.UDIV, Operation.SDIV, Operation.MADD),
    *(Operation.MSUB, Operation.SMADDL, Operation.SMSUBL, Operation.UMADDL, Operation.UMSUBL),
    *(Operation.CLZ, Operation.CLS, Operation.RBIT, Operation.REV16, Operation.REV32),
)

_MAKERS: dict[str, _Maker] = {
    **dict.fromkeys(("add", "adds", "sub", "subs"), _add),
    **dict.fromkeys(_LOGICAL, _logical),
    **dict.fromkeys(("movz", "movn", "movk"), _move),
    **dict.fromkeys(("adr", "adrp"), _address),
    **dict.fromkeys(_BITFIELD, _bitfield),
    **dict.fromkeys(_SELECT, _select),
    **dict.fromkeys(("ccmp", "ccmn"), _compare),
    **dict.fromkeys(("smulh", "umulh"), _high_product),
    **dict.fromkeys(("cbz", "cbnz"), _branch_zero),
    **dict.fromkeys(("tbz", "tbnz"), _branch_bit),
    **dict.fromkeys(("br", "blr", "ret"), _branch_register),
    **dict.fromkeys(("b", "bl"), _branch),
    **dict.fromkeys(("prfm", "prfum", "rprfm"), _prefetch),
    **{f"{name.lower()}v": _computation(Operation[name]) for name in ("LSL", "LSR", "ASR", "ROR")},
    **{operation.name.lower(): _computation(operation) for operation in _COMPUTATIONS},
    "adcs": _computation(Operation.ADC, Operand.SET_FLAGS),
    "sbcs": _computation(Operation.SBC, Operand.SET_FLAGS),
    "rev": _reverse,
    "extr": _extract,
    "hint": _hint,
    "mrs": _system_register,
    **dict.fromkeys(_LOADS, _load),
}
