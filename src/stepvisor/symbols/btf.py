"""Where members are in a kernel's structures, from the BTF that the kernel carries itself.

The form is Linux Documentation/bpf/btf.rst: a header, a section of types one after the other, a
section of strings. Nothing is trusted: every offset is checked, types and names are bounded, and
no type is looked into twice, so that a hostile blob costs no more than its length.
"""

import struct
from array import array
from collections.abc import Iterator
from typing import Final

from stepvisor.errors import SymbolError

__all__ = ("HEADER_START", "Btf", "find_btf")

HEADER_START: Final = bytes.fromhex("9feb010018000000")
"""How the BTF of a little-endian kernel begins: magic, version, no flags, length of the header."""

_MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("<HBBIIIII")
_TYPE: Final = struct.Struct("<III")
_MEMBER: Final = struct.Struct("<III")
_ENUMERATOR: Final = struct.Struct("<Ii")
_STRUCT: Final = 4
_UNION: Final = 5
_ENUM: Final = 6
_KIND_FLAG: Final = 1 << 31
_MAX_TYPES: Final = 1 << 20
_MAX_NAME: Final = 512
"""KSYM_NAME_LEN; no type or member has a longer name."""

# Bytes after the common part by kind: fixed, and for each of `vlen` elements.
_EXTRA: Final = {
    1: (4, 0),  # INT
    3: (12, 0),  # ARRAY
    4: (0, 12),  # STRUCT
    5: (0, 12),  # UNION
    6: (0, 8),  # ENUM
    13: (0, 8),  # FUNC_PROTO
    14: (4, 0),  # VAR
    15: (0, 12),  # DATASEC
    17: (4, 0),  # DECL_TAG
    19: (0, 12),  # ENUM64
}
_LAST_KIND: Final = 19

_CANDIDATES: Final = 16


def find_btf(kernel: bytes) -> "Btf | None":
    """The types in a kernel's memory or Image, None when it has none.

    Not every kernel has symbols for its data, so they are found by how they begin.
    """
    position = kernel.find(HEADER_START)
    for _ in range(_CANDIDATES):
        if position < 0:
            break
        try:
            return Btf(kernel[position:])
        except SymbolError:
            position = kernel.find(HEADER_START, position + 1)
    return None


class Btf:
    """The types of one kernel."""

    def __init__(self, data: bytes) -> None:
        """Index the types in `data`, which begins with the header.

        :raise SymbolError: When it is not BTF.
        """
        if len(data) < _HEADER.size:
            raise _damaged("too short")
        magic, version, _, header, type_start, type_size, text_start, text_size = (
            _HEADER.unpack_from(data)
        )
        if magic != _MAGIC or version != 1:
            raise _damaged(f"magic {magic:#x}, version {version}")
        if header < _HEADER.size or header + max(
            type_start + type_size, text_start + text_size
        ) > len(data):
            raise _damaged("a section reaches beyond the end")
        self._types = data[header + type_start :][:type_size]
        self._texts = data[header + text_start :][:text_size]
        self._starts = array("I", [0, *self._index()])
        self._known: dict[str, int] = {}

    def offset(self, structure: str, member: str) -> int:
        """Bytes from the start of `struct structure` to `member`, anonymous members looked through.

        :raise SymbolError: When there is no such structure or member, or it is a bit-field.
        """
        bits = self._find(self._start(structure), member)
        if bits is None:
            raise SymbolError(f"the kernel's struct {structure} has no member {member!r}")
        if bits % 8:
            raise SymbolError(f"{member!r} of the kernel's struct {structure} is a bit-field")
        return bits // 8

    def size(self, structure: str) -> int:
        """Bytes of `struct structure`.

        :raise SymbolError: When there is none.
        """
        size: int = _TYPE.unpack_from(self._types, self._start(structure))[2]
        return size

    def enumerator(self, name: str) -> int:
        """The value of an enumerator, whichever enumeration it belongs to.

        :raise SymbolError: When there is none.
        """
        for start in self._starts[1:]:
            _, info, _ = _TYPE.unpack_from(self._types, start)
            if info >> 24 & 0x1F != _ENUM:
                continue
            for index in range(info & 0xFFFF):
                at = start + _TYPE.size + index * _ENUMERATOR.size
                text, value = _ENUMERATOR.unpack_from(self._types, at)
                if self._text(text) == name:
                    return int(value)
        raise SymbolError(f"the kernel's BTF has no enumerator {name!r}")

    def _start(self, structure: str) -> int:
        """Where the type of a structure starts; of several with one name, the first."""
        if structure not in self._known:
            self._known[structure] = self._search(structure)
        return self._known[structure]

    def _search(self, structure: str) -> int:
        for start in self._starts[1:]:
            name, info, _ = _TYPE.unpack_from(self._types, start)
            if info >> 24 & 0x1F == _STRUCT and info & 0xFFFF and self._text(name) == structure:
                return start
        raise SymbolError(f"the kernel's BTF has no struct {structure!r}")

    def _index(self) -> Iterator[int]:
        """Where each type starts, from number 1."""
        position = 0
        for _ in range(_MAX_TYPES):
            if position == len(self._types):
                return
            if position + _TYPE.size > len(self._types):
                raise _damaged("a type reaches beyond the end")
            yield position
            _, info, _ = _TYPE.unpack_from(self._types, position)
            kind = info >> 24 & 0x1F
            if not 1 <= kind <= _LAST_KIND:
                raise _damaged(f"a type of kind {kind}")
            fixed, each = _EXTRA.get(kind, (0, 0))
            position += _TYPE.size + fixed + each * (info & 0xFFFF)
        raise _damaged("more types than any kernel has")

    def _find(self, start: int, member: str) -> int | None:
        """Bits from the structure at `start` to a member."""
        waiting, seen = [(start, 0)], {start}
        while waiting:
            start, before = waiting.pop()
            for name, kind, bits in self._members(start):
                if name and self._text(name) == member:
                    return before + bits
                inner = None if name else self._structure(kind)
                if inner is not None and inner not in seen:
                    seen.add(inner)
                    waiting.append((inner, before + bits))
        return None

    def _members(self, start: int) -> Iterator[tuple[int, int, int]]:
        """Name, type and offset in bits of each member of the structure at `start`."""
        _, info, _ = _TYPE.unpack_from(self._types, start)
        for index in range(info & 0xFFFF):
            at = start + _TYPE.size + index * _MEMBER.size
            name, kind, offset = _MEMBER.unpack_from(self._types, at)
            yield name, kind, offset & 0xFF_FFFF if info & _KIND_FLAG else offset

    def _structure(self, number: int) -> int | None:
        """Where type `number` starts when it is a structure or union."""
        if not 0 < number < len(self._starts):
            return None
        start = self._starts[number]
        _, info, _ = _TYPE.unpack_from(self._types, start)
        return start if info >> 24 & 0x1F in {_STRUCT, _UNION} else None

    def _text(self, offset: int) -> str:
        end = self._texts.find(b"\0", offset, offset + _MAX_NAME)
        return self._texts[offset:end].decode("utf-8", "replace") if 0 <= offset < end else ""


def _damaged(what: str) -> SymbolError:
    return SymbolError(f"the kernel's BTF is damaged: {what}")
