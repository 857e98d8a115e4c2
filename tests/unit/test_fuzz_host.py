"""Whatever a file, a guest or QEMU says: an answer or an error of ours, at a bounded cost.

The same inputs every time, so that a run that passes passes again. `make fuzz-host` makes many
more, and other ones each time.
"""

import bz2
import contextlib
import gzip
import json
import lzma
import os
import socket
import struct
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import fake_kernel
import numpy as np
from fake_packages import make_deb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_initramfs import program
from test_machine_parts import board_tree

from stepvisor._gen import wire
from stepvisor.errors import StepvisorError
from stepvisor.guest import mirror
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.compression import decompress
from stepvisor.guest.cpio import CpioWriter
from stepvisor.guest.image import KernelImage, parse_image
from stepvisor.guest.initramfs import build_initramfs
from stepvisor.guest.sources import parse_deb822
from stepvisor.machine.devicetree import edit_tree, read_board
from stepvisor.machine.qmp import Qmp
from stepvisor.monitor.events import Drained
from stepvisor.monitor.mailbox import Mailbox
from stepvisor.monitor.ring import RingReader
from stepvisor.symbols.btf import Btf
from stepvisor.symbols.table import SymbolTable

EXAMPLES = int(os.environ.get("STEPVISOR_FUZZ", "0"))
SECONDS = 10.0
"""Of this thread's processor time for one input; a small one takes milliseconds."""
MEMORY = 64 << 20

fuzzed = settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@contextlib.contextmanager
def bounded(memory: int = MEMORY) -> Iterator[None]:
    """Our errors only, and the budgets."""
    start = time.thread_time()
    tracemalloc.start()
    try:
        with contextlib.suppress(StepvisorError):
            yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < memory
    assert time.thread_time() - start < SECONDS


def damaged(*seeds: bytes, start: int = 0) -> st.SearchStrategy[bytes]:
    """One of `seeds` with bytes replaced, cut out, doubled or cut off, from `start` on."""
    numbers = st.integers(0, (1 << 64) - 1)
    values = st.one_of(
        st.binary(min_size=1, max_size=8),
        st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\1\0\0\0"]),
        numbers.map(lambda value: struct.pack("<Q", value)),
    )
    edits = st.lists(st.tuples(st.sampled_from("rrrrdci"), numbers, values), max_size=12)
    return st.tuples(st.sampled_from(seeds), edits).map(lambda pair: _edited(*pair, start))


def _edited(seed: bytes, edits: list[tuple[str, int, bytes]], start: int) -> bytes:
    data = bytearray(seed)
    for kind, number, value in edits:
        at = start + number % max(len(data) - start, 1)
        if kind == "r":
            data[at : at + len(value)] = value
        elif kind == "d":
            data[at : at + number % 100] = b""
        elif kind == "i":
            data[at:at] = value * (number % 5)
        elif number % 4 == 0:
            del data[at:]
    return bytes(data)


def kernel(name: str, **layout: bool) -> bytes:
    symbols = fake_kernel.make_symbols(900, seed=len(name))
    return fake_kernel.make_kernel(fake_kernel.FakeKallsyms(symbols=symbols, **layout))


HEADER = bytes(fake_kernel.make_header(size=0x1400)) + bytes(0x400)
ZBOOT = struct.pack("<4s4s2I8x32s", b"MZ\0\0", b"zimg", 512, 200, b"gzip").ljust(512, b"\0")
IMAGES = (HEADER, gzip.compress(HEADER), ZBOOT + gzip.compress(HEADER)[:200], b"\x7fELF" * 20)
KERNELS = (
    kernel("6.12"),
    kernel("6.1", old_order=True, relocated=True),
    kernel("7.0", place_relative=True, relocated=True),
)
TEXT = bytes(range(256)) * 20
PACKED = (
    gzip.compress(TEXT),
    bz2.compress(TEXT),
    lzma.compress(TEXT),
    lzma.compress(TEXT, format=lzma.FORMAT_ALONE),
)
FILES = {"./boot/vmlinuz-1": b"kernel" * 50, "./" + "n" * 200: b"x", "./d/": b""}
BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
RELEASE = "Codename: trixie\nValid-Until: Sat, 01 Jan 2050 00:00:00 UTC\nSHA256:\n aa 12 main/x\n"


def test_what_is_damaged_was_whole(tmp_path: Path) -> None:
    """Else everything would be refused at its first byte."""
    assert parse_image(IMAGES[1], Path("k")).packing == ("gzip",)
    assert [decompress(data) for data in PACKED] == [TEXT] * 4
    for data in KERNELS:
        assert len(SymbolTable.from_image(parse_image(data, Path("k")))) == 901
    assert Btf(btf_seed()).offset("task_struct", "comm") == (128 + 8) // 8
    (tmp_path / "x").write_bytes(make_deb(FILES, ".gz"))
    assert extract_from_deb(tmp_path / "x", "n*") == b"x"
    assert read_board(board_tree()).ram_size == 1 << 30
    assert build_initramfs(program())
    ring = np.zeros(1024, np.uint8)
    ring[: len(ring_seed())] = np.frombuffer(ring_seed(), np.uint8)
    index = np.zeros(1, wire.RING_INDEX)
    index["head"] = len(ring_seed())
    into = Drained()
    RingReader(0, ring, index).drain(into)
    assert [len(part) for part in (into.hits, into.events, into.captures, into.notices)] == [
        1,
        2,
        1,
        1,
    ]


@given(damaged(*IMAGES))
@fuzzed
def test_images(data: bytes) -> None:
    with bounded():
        parse_image(data, Path("k"))


@given(damaged(*PACKED))
@fuzzed
def test_compression(data: bytes) -> None:
    with bounded():
        assert len(decompress(data, limit=1 << 20)) <= 1 << 20


@given(damaged(*KERNELS, start=0x3_0000), st.integers(0, (1 << 64) - 1))
@fuzzed
def test_kallsyms(data: bytes, size: int) -> None:
    with bounded():
        image = KernelImage(data, size % (1 << 21), size, 0, Path("k"), "")
        table = SymbolTable.from_image(image)
        for symbol in list(table)[:10]:
            assert symbol.name.isprintable()
            assert table.all(symbol.name)
            table.at(symbol.address)
        assert len(table.rebased(size).text) >= 0


def btf_seed() -> bytes:
    """task_struct with an anonymous union, arrays, functions, enumerations."""
    texts = b"\0task_struct\0comm\0other\0"
    record = struct.Struct("<III")
    types = b"".join(
        (
            record.pack(18, 1 << 24, 4) + struct.pack("<I", 32),
            record.pack(1, 4 << 24 | 3, 64),
            *(record.pack(*member) for member in ((18, 1, 0), (0, 3, 64), (0, 5, 128))),
            record.pack(0, 5 << 24 | 2, 8) + record.pack(18, 1, 0) + record.pack(0, 5, 0),
            record.pack(0, 3 << 24, 0) + record.pack(1, 1, 16),
            record.pack(0, 4 << 24 | 2, 16) + record.pack(13, 4, 8) + record.pack(0, 3, 0),
            record.pack(18, 6 << 24 | 1, 4) + struct.pack("<Ii", 18, 7),
        )
    )
    sizes = (24, 0, len(types), len(types), len(texts))
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, *sizes) + types + texts


@given(damaged(btf_seed()))
@fuzzed
def test_btf(data: bytes) -> None:
    with bounded():
        found = Btf(data)
        assert found.offset("task_struct", "comm") >= 0


@given(damaged(make_deb(FILES, ""), make_deb(FILES, ".xz"), make_deb(FILES, ".gz")))
@fuzzed
def test_packages(data: bytes) -> None:
    path = Path("/proc/self/fd")
    file = os.memfd_create("package")
    try:
        os.write(file, data)
        with bounded():
            extract_from_deb(path / str(file), "boot/vmlinuz-.*|n*")
    finally:
        os.close(file)


@given(damaged(RELEASE.encode() * 2, b"a: b\n c\n\n#x\n d\n:\n"), st.sampled_from([b"", BEGIN]))
@fuzzed
def test_release_and_package_lists(data: bytes, begin: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with bounded():
        assert all(isinstance(fields, dict) for fields in parse_deb822(text))
    with bounded():
        mirror._list_hash(text, "trixie")
    with bounded():
        mirror._unsigned(begin + data + b"\n-----BEGIN PGP SIGNATURE-----\n")


@given(damaged(board_tree()))
@fuzzed
def test_device_trees(data: bytes) -> None:
    with bounded():
        read_board(data)
    with bounded():
        edit_tree(data, memory=(1 << 40, 1 << 30), bootargs="x", initrd=(1 << 33, 5))


def ring_seed() -> bytes:
    """Hits, an event, a step, captures, a lost record, padding."""
    out = bytearray()
    for number, (kind, size) in enumerate(((1, 80), (1, 80), (4, 32), (5, 376), (7, 104), (6, 96))):
        record = bytearray(size)
        struct.pack_into("<HHBBHQ", record, 0, kind, size, 0, 0, 1, number)
        out += record
    return bytes(out)


@given(damaged(ring_seed(), bytes(400)), st.integers(0, 80), st.integers(0, 600))
@fuzzed
def test_rings(data: bytes, tail: int, head: int) -> None:
    ring = np.zeros(1024, np.uint8)
    ring[: len(data[:1024])] = np.frombuffer(data[:1024], np.uint8)
    index = np.zeros(1, wire.RING_INDEX)
    index["tail"], index["head"] = tail * 8, (tail + head) * 8
    reader, into = RingReader(0, ring, index), Drained()
    with bounded():
        reader.drain(into)


@given(st.binary(min_size=wire.CONTROL.itemsize, max_size=wire.CONTROL.itemsize))
@fuzzed
def test_mailbox_answers(data: bytes) -> None:
    control = np.frombuffer(bytearray(data), wire.CONTROL)
    control["answer"] = control["request"] + np.uint64(1)
    mailbox = Mailbox(control, np.zeros(64, np.uint8), lambda: None, timeout=0.01)
    with bounded():
        mailbox.command(next(iter(wire.Command)), (1, 2))


GREETING = b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}\n'


@given(damaged(GREETING + b'{"id": 1, "return": {}}\n{"event": "X"}\n{"id": 2, "error": []}\n'))
@fuzzed
def test_qmp(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        qmp = Qmp(ours, timeout=5)
        with bounded():
            qmp.connect()
            json.dumps(qmp.command("cont"))


@given(damaged(program()))
@fuzzed
def test_busybox(data: bytes) -> None:
    with bounded():
        build_initramfs(data)


PATHS = st.text(st.characters(exclude_categories=()), max_size=20)
"""Halves of surrogate pairs, too: what Python makes of a file name that is not UTF-8."""


@given(st.lists(st.tuples(PATHS, st.binary(max_size=20)), max_size=5))
@fuzzed
def test_initramfs_paths(files: list[tuple[str, bytes]]) -> None:
    with bounded():
        writer = CpioWriter()
        for path, data in files:
            writer.add_file(path, data)
            writer.add_symlink(f"{path}x", path)
        assert writer.finish()[:6] == b"070701"
