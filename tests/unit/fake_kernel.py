"""Kernel Images made up for tests: header, PE sections, kallsyms in every layout.

Written from the formats' descriptions, sharing nothing with the readers under test.
"""

import random
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stepvisor.guest.image import KernelImage, parse_image

LINK_BASE = 0xFFFF_8000_8000_0000
HEADER_SIZE = 0x1000
BRANCH_TARGET = 0x2_0000


def make_header(
    *,
    size: int,
    image_size: int = 0x40_0000,
    text_offset: int = 0,
    flags: int = 0b1010,
    branch: int = BRANCH_TARGET,
    machine: int = 0xAA64,
) -> bytearray:
    """The first 4 KiB of an Image with an EFI stub, whose sections end at `size`."""
    out = bytearray(HEADER_SIZE)
    struct.pack_into("<II", out, 0, 0xFA405A4D, 0x14000000 | (branch - 4) // 4)
    struct.pack_into("<3Q", out, 8, text_offset, image_size, flags)
    out[56:60] = b"ARM\x64"
    struct.pack_into("<I", out, 0x3C, 0x40)
    out[0x40:0x44] = b"PE\0\0"
    struct.pack_into("<2H3I2H", out, 0x44, machine, 2, 0, 0, 0, 0xA0, 0x206)
    table = 0x44 + 20 + 0xA0
    text = min(0x1_0000, size - HEADER_SIZE)
    rest = size - HEADER_SIZE - text
    struct.pack_into("<8s4I", out, table, b".text", text, HEADER_SIZE, text, HEADER_SIZE)
    start = HEADER_SIZE + text
    struct.pack_into("<8s4I", out, table + 40, b".data", rest + 0x8000, start, rest, start)
    return out


@dataclass
class FakeSymbol:
    """A symbol to put in; the offset counts from the Image's first byte."""

    name: str
    type: str
    offset: int


@dataclass
class FakeKallsyms:
    """How the tables are laid out."""

    old_order: bool = False
    seqs_size: int = 3
    alignment: int = 8
    place_relative: bool = False
    relocated: bool = False
    long_lengths: bool = True
    decoy: bool = True
    entry_name: str = "primary_entry"
    symbols: list[FakeSymbol] = field(default_factory=list)


def make_symbols(count: int, seed: int = 1) -> list[FakeSymbol]:
    """Symbols by ascending offset; some share an address, some a name, one is very long."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz_"
    out = [FakeSymbol("_text", "T", 0), FakeSymbol("_stext", "T", 0x1_0000)]
    offset = 0x1_0000
    while len(out) < count:
        offset += rng.choice((0, 4, 16, 64, 256))
        name = "".join(rng.choices(letters, k=rng.randint(3, 30))) + rng.choice(("", ".isra.0"))
        out.append(FakeSymbol(name, rng.choice("tTWdDrRbB"), offset))
    out[count // 2].name = "twice"
    out[count // 3].name = "twice"
    out[count // 4].name = "".join(rng.choices(letters, k=400))
    out.append(FakeSymbol("primary_entry", "T", BRANCH_TARGET))
    out.sort(key=lambda symbol: symbol.offset)
    return out


def make_kernel(layout: FakeKallsyms, *, link_base: int = LINK_BASE, pad: int = 0) -> bytes:
    """A whole Image with kallsyms in `layout`."""
    rng = random.Random(2)
    out = bytearray(HEADER_SIZE)
    out += rng.randbytes(0x3_0000 + 8 * pad)
    if layout.decoy:
        _align(out, 8)
        out += struct.pack("<256H", *range(0, 512, 2))
    base_place = _append_kallsyms(out, layout, link_base)
    _align(out, 8)
    if layout.relocated:
        places = [(0x200 * i, 0x1_0000 + 0x40 * i) for i in range(1, 400)]
        places.insert(7, (base_place, min(s.offset for s in layout.symbols)))
        for place, value in places:
            out += struct.pack("<3Q", link_base + place, 0x403, link_base + value)
    _align(out, 512)
    out[:HEADER_SIZE] = make_header(size=len(out))
    banner = b"Linux version 6.99.0-test (builder@example) #1 SMP\n\0"
    out[0x2000 : 0x2000 + len(banner)] = banner
    return bytes(out)


def fake_image(layout: FakeKallsyms, *, link_base: int = LINK_BASE, pad: int = 0) -> KernelImage:
    """The same, loaded."""
    return parse_image(make_kernel(layout, link_base=link_base, pad=pad), Path("fake"))


def _align(out: bytearray, alignment: int) -> None:
    out += bytes(-len(out) % alignment)


def _append_kallsyms(out: bytearray, layout: FakeKallsyms, link_base: int) -> int:
    """Append all tables; returns the place of relative_base (0 when there is none)."""
    tokens, names, markers = _compress(layout)
    tables = b"".join(token + b"\0" for token in tokens)
    starts = [0, *np.cumsum([len(token) + 1 for token in tokens]).tolist()][:256]
    orders = range(len(layout.symbols)) if layout.seqs_size else ()
    seqs = b"".join(i.to_bytes(layout.seqs_size, "big") for i in orders)
    place = 0

    def put(table: bytes) -> int:
        _align(out, layout.alignment)
        position = len(out)
        out.extend(table)
        return position

    def put_offsets() -> int:
        _align(out, layout.alignment)
        if layout.place_relative:
            start = len(out)
            put(
                b"".join(
                    struct.pack("<i", s.offset - (start + 4 * i))
                    for i, s in enumerate(layout.symbols)
                )
            )
            return 0
        low = layout.symbols[0].offset
        put(b"".join(struct.pack("<I", s.offset - low) for s in layout.symbols))
        return put(struct.pack("<Q", 0 if layout.relocated else link_base + low))

    if layout.old_order:
        place = put_offsets()
    put(struct.pack("<I", len(layout.symbols)))
    put(names)
    put(struct.pack(f"<{len(markers)}I", *markers))
    if layout.old_order:
        put(seqs)
    put(tables)
    put(struct.pack("<256H", *starts))
    if not layout.old_order:
        place = put_offsets()
        put(seqs)
    return place


def _compress(layout: FakeKallsyms) -> tuple[list[bytes], bytes, list[int]]:
    """Tokens, compressed names and markers; frequent pairs get the codes that no letter needs."""
    texts = [(s.type + s.name).encode() for s in layout.symbols]
    used = {code for text in texts for code in text}
    pairs: dict[bytes, int] = {}
    for text in texts:
        for i in range(len(text) - 1):
            pairs[text[i : i + 2]] = pairs.get(text[i : i + 2], 0) + 1
    frequent = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    free = [code for code in range(256) if code not in used]
    codes = dict(zip(frequent, free, strict=False))
    tokens = [bytes([code]) if code in used else b"" for code in range(256)]
    for pair, code in codes.items():
        tokens[code] = pair
    names, markers = bytearray(), []
    for index, text in enumerate(texts):
        if index % 256 == 0:
            markers.append(len(names))
        packed = bytearray()
        position = 0
        while position < len(text):
            pair = text[position : position + 2]
            packed.append(codes.get(pair, text[position]))
            position += 2 if pair in codes else 1
        names += _length(len(packed), long_lengths=layout.long_lengths) + packed
    return tokens, bytes(names), markers


def _length(length: int, *, long_lengths: bool) -> bytes:
    if length > 0x7F and long_lengths:
        return bytes([length & 0x7F | 0x80, length >> 7])
    return bytes([length])
