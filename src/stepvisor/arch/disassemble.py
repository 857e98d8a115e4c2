"""Instructions as text, and the calls among those of A64.

Source of the encodings: Arm Architecture Reference Manual, "A64 instruction set encoding",
"Branches, Exception Generating and System instructions".
"""

import functools
from typing import Any

import capstone

from stepvisor.arch.aarch32 import IT_OUTSIDE, InstructionSet, size

__all__ = ("disassemble", "is_call", "is_exception_return", "is_register_branch")

_BL = (0xFC00_0000, 0x9400_0000)
_BLR = (0xFEE0_0000, 0xD620_0000)
_REGISTER = (0xFE00_0000, 0xD600_0000)
_UNPRIVILEGED = (0x3F20_0C00, 0x3800_0800)
_ERET = (0xFFE0_0000, 0xD680_0000)

_IT_ONE = 0xBF08
"""IT with a block of one instruction; its condition goes into bits 7:4."""
_HALF = 2


def is_call(word: int) -> bool:
    """BL, BLR and the authenticated forms of BLR."""
    return any(word & mask == value for mask, value in (_BL, _BLR))


def is_register_branch(word: int) -> bool:
    """BR, BLR, RET, ERET and their authenticated forms."""
    return word & _REGISTER[0] == _REGISTER[1]


def is_exception_return(word: int) -> bool:
    """ERET, ERETAA, ERETAB."""
    return word & _ERET[0] == _ERET[1]


_MODES = {
    InstructionSet.A64: (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    InstructionSet.A32: (capstone.CS_ARCH_ARM, capstone.CS_MODE_ARM | capstone.CS_MODE_V8),
    InstructionSet.T32: (capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_V8),
}


@functools.cache
def _decoder(instruction_set: InstructionSet) -> Any:
    return capstone.Cs(*_MODES[instruction_set])


@functools.lru_cache(maxsize=1 << 16)
def disassemble(
    word: int,
    address: int,
    instruction_set: InstructionSet = InstructionSet.A64,
    if_then: int = IT_OUTSIDE,
) -> str:
    """The instruction `word` at `address`; one that the library does not know, as a number.

    :param if_then: The If-Then state before a T32 instruction: in an IT block it is another one.
    """
    if instruction_set is not InstructionSet.A64:
        return _aarch32(word, address, instruction_set, if_then)
    code = word.to_bytes(4, "little")
    for _, _, mnemonic, operands in _decoder(instruction_set).disasm_lite(code, address, 1):
        return f"{mnemonic} {operands}".rstrip()
    if word & _UNPRIVILEGED[0] == _UNPRIVILEGED[1] and word & 0x1F == word >> 5 & 0x1F:
        return _load_unprivileged(word)
    return f".inst {word:#010x}"


def _aarch32(word: int, address: int, instruction_set: InstructionSet, if_then: int) -> str:
    """After the IT that would have brought about its state, if it is in an IT block."""
    block = instruction_set is InstructionSet.T32 and if_then != IT_OUTSIDE
    before = _IT_ONE | (if_then & 0xF0) if block else None
    parts = [(word, size(instruction_set, word))]
    if before is not None:
        parts.insert(0, (before, _HALF))
    code = b"".join(_bytes(part, length, instruction_set) for part, length in parts)
    start = address - _HALF * (len(parts) - 1)
    decoded = list(_decoder(instruction_set).disasm_lite(code, start, len(parts)))
    if len(decoded) != len(parts):
        return f".inst {word:#0{2 * parts[-1][1] + 2}x}"
    _, _, mnemonic, operands = decoded[-1]
    return f"{mnemonic} {operands}".rstrip()


def _bytes(word: int, length: int, instruction_set: InstructionSet) -> bytes:
    """As it lies in memory: two halfwords if it is a long one of T32."""
    if instruction_set is InstructionSet.T32 and length > _HALF:
        word = word >> 16 | (word & 0xFFFF) << 16
    return word.to_bytes(length, "little")


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
