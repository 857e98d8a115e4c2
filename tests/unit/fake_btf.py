"""BTF made up for tests, written from the description of the format (btf.rst)."""

import struct
from collections.abc import Mapping, Sequence

__all__ = ("make_btf",)

INT, STRUCT, ENUM = 1, 4, 6


def make_btf(
    structures: Mapping[str, tuple[int, Mapping[str, int]]],
    enumerations: Mapping[str, Mapping[str, int]] | None = None,
) -> bytes:
    """Structures by name: their size, and the offset in bytes of each member; enumerations."""
    texts = bytearray(b"\0")

    def text(name: str) -> int:
        texts.extend(name.encode() + b"\0")
        return len(texts) - len(name) - 1

    types = bytearray(struct.pack("<4I", text("long"), INT << 24, 8, 64))
    for name, (size, members) in structures.items():
        types += struct.pack("<3I", text(name), STRUCT << 24 | len(members), size)
        for member, offset in members.items():
            types += struct.pack("<3I", text(member), 1, offset * 8)
    for name, values in (enumerations or {}).items():
        types += struct.pack("<3I", text(name), ENUM << 24 | len(values), 4)
        for enumerator, value in values.items():
            types += struct.pack("<Ii", text(enumerator), value)
    return _whole(types, texts)


def _whole(types: Sequence[int], texts: Sequence[int]) -> bytes:
    sizes = (0, len(types), len(types), len(texts))
    return struct.pack("<HBBI4I", 0xEB9F, 1, 0, 24, *sizes) + bytes(types) + bytes(texts)
