"""The device tree: read QEMU's, hand the guest an edited one.

QEMU describes all of RAM. The guest's copy starts behind the monitor's region, so that no kernel
setting and no reserved-memory handling can make the guest look there, and it leaves out fw_cfg,
whose DMA would reach the monitor's memory behind stage 2. Source of the property names: Devicetree
Specification, Linux ``Documentation/arch/arm64/booting.rst``, QEMU ``virt`` board documentation.
"""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import fdt

from stepvisor.errors import MachineError
from stepvisor.machine.ram import GuestRam

__all__ = ("Board", "edit_tree", "find_tree", "read_board")

_MAGIC = 0xD00DFEED
_HEADER = struct.Struct(">7I")
_RESERVATION = struct.Struct(">QQ")
_ALIGN = 2 << 20
_LARGEST = 2 << 20
_PAGE = 4096
_BEGIN_NODE = b"\0\0\0\1"
_PROPERTY = b"\0\0\0\3"
_MOST_ITEMS = 4096
"""Nodes and properties, ten times QEMU's: the library compares each with all beside it."""


@dataclass(frozen=True, slots=True)
class Board:
    """Physical addresses that QEMU's device tree names; sizes in bytes."""

    ram_base: int
    ram_size: int
    gicd_base: int
    gicr_base: int
    uart_base: int
    forbidden_base: int
    """Start of fw_cfg's registers rounded out to pages, 0 where the board has none."""
    forbidden_size: int


def find_tree(ram: GuestRam) -> bytes:
    """QEMU's device tree, found in `ram` of a machine that has not started.

    :raise MachineError: When there is none: QEMU's boot protocol differs from what we know.
    """
    for address in range(ram.base, ram.base + ram.size, _ALIGN):
        header = ram.read(address, _HEADER.size)
        magic, size, structure, strings, _, version, _ = _HEADER.unpack(header)
        sane = magic == _MAGIC and version >= 16 and 64 <= size <= _LARGEST
        if sane and structure < size and strings < size and ram.contains(address, size):
            return ram.read(address, size)
    message = "QEMU left no device tree in guest RAM; run `stepvisor doctor`"
    raise MachineError(message)


def read_board(tree: bytes) -> Board:
    """Where RAM and devices are.

    :raise MachineError: When a device that the monitor needs is missing.
    """
    parsed = _parse(tree)
    ram = _ranges(_by_prefix(parsed, "memory@"))
    gic = _ranges(_by_prefix(parsed, "intc@"))
    uart = _ranges(_by_prefix(parsed, "pl011@"))
    if len(ram) != 1 or len(gic) < 2:
        message = f"unexpected board: {len(ram)} memory banks, {len(gic)} GIC ranges"
        raise MachineError(message)
    forbidden, size = 0, 0
    for node in parsed.root.nodes:
        if node.name.startswith("fw-cfg@"):
            start, length = _ranges(node)[0]
            forbidden = start & -_PAGE
            size = (start + length - forbidden + _PAGE - 1) & -_PAGE
    return Board(
        ram_base=ram[0][0],
        ram_size=ram[0][1],
        gicd_base=gic[0][0],
        gicr_base=gic[1][0],
        uart_base=uart[0][0],
        forbidden_base=forbidden,
        forbidden_size=size,
    )


def edit_tree(
    tree: bytes, *, memory: tuple[int, int], bootargs: str, initrd: tuple[int, int] | None
) -> bytes:
    """The guest's device tree.

    `memory` and `initrd` are physical (start, size) in bytes. The KASLR seed stays QEMU's, except
    that a seed QEMU did not give is made here.
    """
    parsed = _parse(tree)
    node = _by_prefix(parsed, "memory@")
    node.set_name(f"memory@{memory[0]:x}")
    node.set_property("reg", _cells(*memory))
    for name in [n.name for n in parsed.root.nodes if n.name.startswith("fw-cfg@")]:
        parsed.root.remove_subnode(name)
    chosen = _chosen(parsed)
    if bootargs:
        chosen.set_property("bootargs", bootargs)
    if initrd is not None:
        chosen.set_property("linux,initrd-start", _cells(initrd[0]))
        chosen.set_property("linux,initrd-end", _cells(initrd[0] + initrd[1]))
    if not chosen.exist_property("kaslr-seed"):
        chosen.set_property("kaslr-seed", _cells(random.SystemRandom().getrandbits(64)))
    return bytes(parsed.to_dtb(version=17))


def _parse(tree: bytes) -> fdt.FDT:
    if tree.count(_BEGIN_NODE) + tree.count(_PROPERTY) > _MOST_ITEMS:
        message = "QEMU's device tree cannot be read: it has more nodes than any board"
        raise MachineError(message)
    # All trees that the library parses share one list of memory reservations, its default argument.
    fdt.FDT().entries.clear()
    try:
        parsed = fdt.parse_dtb(tree)
        parsed.entries = _reservations(tree)
    except Exception as error:
        # The library documents no exception of its own for malformed input.
        message = f"QEMU's device tree cannot be read: {error}"
        raise MachineError(message) from error
    return parsed


def _reservations(tree: bytes) -> list[dict[str, int]]:
    """The tree's own memory reservation block, which ends with an entry of zeros."""
    found: list[dict[str, int]] = []
    at = _HEADER.unpack_from(tree)[4]
    while any(entry := _RESERVATION.unpack_from(tree, at)):
        found.append({"address": entry[0], "size": entry[1]})
        at += _RESERVATION.size
    return found


def _by_prefix(tree: fdt.FDT, prefix: str) -> fdt.Node:
    for node in tree.root.nodes:
        if node.name.startswith(prefix):
            return node
    message = f"QEMU's device tree has no {prefix[:-1]} node: not the virt board?"
    raise MachineError(message)


def _chosen(tree: fdt.FDT) -> fdt.Node:
    if not tree.exist_node("/chosen"):
        tree.add_item(fdt.Node("chosen"))
    return tree.get_node("/chosen")


def _ranges(node: fdt.Node) -> list[tuple[int, int]]:
    """A node's ``reg`` as (start, size) pairs; the board's root has two cells for each."""
    reg = node.get_property("reg")
    if not isinstance(reg, fdt.PropWords) or len(reg) % 4 or not len(reg):
        message = f"QEMU's device tree: node {node.name} has no usable reg"
        raise MachineError(message)
    words: Sequence[int] = list(reg)
    pairs = [words[i] << 32 | words[i + 1] for i in range(0, len(words), 2)]
    return list(zip(pairs[::2], pairs[1::2], strict=True))


def _cells(*values: int) -> list[int]:
    return [word for value in values for word in (value >> 32, value & 0xFFFF_FFFF)]
