"""Kernel Images that mean harm: valid to look at, made to cost time or memory."""

import struct
from pathlib import Path

import fake_kernel
import numpy as np

from stepvisor.guest.image import KernelImage, parse_image


def _align(out: bytearray, alignment: int = 8) -> None:
    out += bytes(-len(out) % alignment)


def _finish(out: bytearray, image_size: int = 0x1000_0000) -> KernelImage:
    _align(out, 512)
    out[: fake_kernel.HEADER_SIZE] = fake_kernel.make_header(size=len(out), image_size=image_size)
    return parse_image(bytes(out), Path("hostile"))


def _token_tables(tokens: list[bytes]) -> bytes:
    out = bytearray(b"".join(token + b"\0" for token in tokens))
    _align(out)
    starts = [0, *np.cumsum([len(token) + 1 for token in tokens]).tolist()][:256]
    return bytes(out) + struct.pack("<256H", *starts)


def one_name(
    count: int, text: bytes = b"Tx", link_base: int = fake_kernel.LINK_BASE
) -> KernelImage:
    """`count` symbols of one name; `text` has the type letter in front."""
    out = bytearray(fake_kernel.HEADER_SIZE + 0x3_0000) + struct.pack("<I", count)
    _align(out)
    out += b"\x01\x41" * count
    _align(out)
    out += (np.arange((count + 255) // 256, dtype="<u4") * 512).tobytes()
    _align(out)
    tokens = [b""] * 256
    tokens[0x41] = text
    out += _token_tables(tokens)
    out += (np.arange(count, dtype="<u4") * 4).tobytes()
    _align(out)
    out += struct.pack("<Q", link_base)
    return _finish(out)


def decoys(tokens: int, markers: int, blocks: int = 500) -> KernelImage:
    """Each of the token tables fits each of the marker tables, and many numbers of symbols."""
    out = bytearray(fake_kernel.HEADER_SIZE + 0x1000)
    count = 256 * (blocks - 1) + 1  # no byte of it is 0
    out += (struct.pack("<I", count) + b"\x01\x01\x01\x01") * 16640
    out += b"\x01" * (512 * blocks + 1024)
    _align(out)
    out += ((np.arange(blocks, dtype="<u4") * 512).tobytes() + b"\xff" * 8) * markers
    _align(out)
    texts = [bytes([code]) if 32 <= code < 127 else b"q" for code in range(256)]
    out += _token_tables([b"", *texts[1:]]) * tokens
    return _finish(out)
