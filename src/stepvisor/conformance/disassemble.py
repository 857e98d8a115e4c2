"""Instructions as text, when a disassembler is installed."""

from collections.abc import Sequence

__all__ = ("disassemble",)


def disassemble(words: Sequence[int], address: int) -> list[str]:
    """One line for each; "" without the package capstone, which `stepvisor[display]` installs."""
    try:
        import capstone  # noqa: PLC0415 - optional
    except ImportError:
        return [""] * len(words)
    engine = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    return [_one(engine, word, address + 4 * i) for i, word in enumerate(words)]


def _one(engine: object, word: int, address: int) -> str:
    decoded = engine.disasm(word.to_bytes(4, "little"), address, 1)  # type: ignore[attr-defined] # untyped
    return next((f"{i.mnemonic} {i.op_str}".strip() for i in decoded), "?")
