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
    return f".inst {word:#010x}"
