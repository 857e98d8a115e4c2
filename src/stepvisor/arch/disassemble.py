"""A64 instructions as text, and the calls among them.

Source of the encodings: Arm Architecture Reference Manual, "A64 instruction set encoding",
"Branches, Exception Generating and System instructions".
"""

import functools
from typing import Any

import capstone

__all__ = ("disassemble", "is_call", "is_exception_return", "is_register_branch")

_BL = (0xFC00_0000, 0x9400_0000)
_BLR = (0xFEE0_0000, 0xD620_0000)
_REGISTER = (0xFE00_0000, 0xD600_0000)
_UNPRIVILEGED = (0x3F20_0C00, 0x3800_0800)
_ERET = (0xFFE0_0000, 0xD680_0000)


def is_call(word: int) -> bool:
    """BL, BLR and the authenticated forms of BLR."""
    return any(word & mask == value for mask, value in (_BL, _BLR))


def is_register_branch(word: int) -> bool:
    """BR, BLR, RET, ERET and their authenticated forms."""
    return word & _REGISTER[0] == _REGISTER[1]


def is_exception_return(word: int) -> bool:
    """ERET, ERETAA, ERETAB."""
    return word & _ERET[0] == _ERET[1]


@functools.cache
def _decoder() -> Any:
    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)


@functools.lru_cache(maxsize=1 << 16)
def disassemble(word: int, address: int) -> str:
    """The instruction `word` at `address`; one that the library does not know, as a number."""
    code = word.to_bytes(4, "little")
    for _, _, mnemonic, operands in _decoder().disasm_lite(code, address, 1):
        return f"{mnemonic} {operands}".rstrip()
    if word & _UNPRIVILEGED[0] == _UNPRIVILEGED[1] and word & 0x1F == word >> 5 & 0x1F:
        return _load_unprivileged(word)
    return f".inst {word:#010x}"


def _load_unprivileged(word: int) -> str:
    """LDTR with the same register twice, which capstone 5 mistakes for one with write-back."""
    size, form, register = word >> 30, word >> 22 & 3, word & 0x1F
    if form == 0 or (size, form) in {(3, 2), (3, 3), (2, 3)} or register == 31:
        return f".inst {word:#010x}"
    signed = "s" if form > 1 else ""
    width = ("b", "h", "w" if signed else "", "")[size]
    target = "x" if size == 3 or form == 2 else "w"
    offset = ((word >> 12 & 0x1FF) ^ 0x100) - 0x100
    shown = f", #{offset:#x}" if offset else ""
    return f"ldtr{signed}{width} {target}{register}, [x{register}{shown}]"
