"""Capture records: from the ring to columns, against values that were packed by hand."""

import random
import struct

import numpy as np
import pytest
from test_ring import Producer, drain

from stepvisor.errors import MonitorError
from stepvisor.monitor.capture import CapturedValue, CaptureLayout, RawCaptures, ValueKind
from stepvisor.monitor.events import Drained, Lost

CAPTURE = 6
NUMBERS = CaptureLayout(
    (CapturedValue("x0", ValueKind.UNSIGNED), CapturedValue("s64(x1)", ValueKind.SIGNED))
)
MIXED = CaptureLayout(
    (
        CapturedValue("a", ValueKind.TEXT, 20),
        CapturedValue("b", ValueKind.UNSIGNED),
        CapturedValue("c", ValueKind.TEXT, 300),
    )
)


def numbers(*values: int, faults: int = 0) -> bytes:
    return struct.pack(f"<{len(values) + 1}Q", faults, *values)


def text(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content + bytes(-len(content) % 8)


def together(layout: CaptureLayout, drained: Drained) -> np.ndarray:
    parts = [layout.decode(raw) for raw in drained.captures]
    return np.concatenate(parts) if parts else np.empty(0, layout.dtype)


def test_numbers_come_as_columns() -> None:
    producer = Producer()
    reader = producer.reader()
    for i in range(50):
        producer.put(CAPTURE, numbers(i, -i % 2**64, faults=i % 4))

    drained = drain(reader)

    assert [raw.size for raw in drained.captures] == [56]
    records = together(NUMBERS, drained)
    assert records["v0"].tolist() == list(range(50))
    assert records["v1"].tolist() == [-i for i in range(50)]
    assert records["faults"].tolist() == [i % 4 for i in range(50)]
    assert records["sequence"].tolist() == list(range(50))
    assert set(records["slot"].tolist()) == {7}


@pytest.mark.parametrize("seed", range(6))
def test_records_of_all_sizes(seed: int) -> None:
    """Strings, runs of equal sizes, hits and losses among them, across the end of the ring."""
    rng = random.Random(seed)
    producer = Producer(start=rng.randrange(0, 4096, 8))
    reader = producer.reader()
    expected: list[tuple[bytes, int, bytes]] = []
    records: list[np.ndarray] = []
    hits = lost = 0
    for _ in range(80):
        while producer.room() > 1200:
            kind = rng.randrange(12)
            if kind == 0:
                producer.hit(1)
                hits += 1
            elif kind == 1:
                producer.lost(3)
                lost += 3
            else:
                length = 5 if rng.random() < 0.5 else rng.randrange(21)
                a, c = rng.randbytes(length).replace(b"\0", b"x"), b"c" * rng.randrange(200)
                b = rng.getrandbits(64)
                producer.put(CAPTURE, bytes(8) + text(a) + struct.pack("<Q", b) + text(c))
                expected.append((a, b, c))
        drained = drain(reader)
        records.append(together(MIXED, drained))
        hits -= sum(len(array) for array in drained.hits)
        lost -= sum(notice.lost for notice in drained.notices if isinstance(notice, Lost))

    found = np.concatenate(records)
    assert list(zip(*(found[f"v{n}"].tolist() for n in range(3)), strict=True)) == expected
    assert (hits, lost) == (0, 0)


def test_a_long_run_is_not_looked_at_one_by_one() -> None:
    """All in one array, whatever their sizes."""
    producer = Producer()
    reader = producer.reader()
    for i in range(40):
        producer.put(CAPTURE, bytes(8) + text(b"x" * (i % 3)))
    (raw,) = drain(reader).captures
    assert len(raw.starts) == 40
    assert raw.size == 0


def test_only_some_slots() -> None:
    producer = Producer()
    reader = producer.reader()
    for i in range(40):
        producer.put(CAPTURE, numbers(i, 0), slot=i % 3)
    wanted = np.zeros(65536, np.bool_)
    wanted[2] = True
    (raw,) = drain(reader).captures
    assert NUMBERS.decode(raw.of(wanted))["v0"].tolist() == list(range(2, 40, 3))

    for i in range(40):
        producer.put(CAPTURE, bytes(8) + text(b"y" * (i % 5)) + numbers() + text(b""), slot=i % 3)
    parts = [MIXED.decode(raw.of(wanted)) for raw in drain(reader).captures]
    found = np.concatenate(parts)["v0"].tolist()
    assert found == [b"y" * (i % 5) for i in range(2, 40, 3)]


def test_a_text_that_was_cut_short() -> None:
    layout = CaptureLayout((CapturedValue("a", ValueKind.TEXT, 8),))
    producer = Producer()
    reader = producer.reader()
    producer.put(CAPTURE, struct.pack("<QQ", 1, 3 | 1 << 63) + b"abc\0\0\0\0\0")
    assert together(layout, drain(reader))["v0"].tolist() == [b"abc"]


def test_a_missing_record_is_noticed() -> None:
    producer = Producer()
    reader = producer.reader()
    for i in range(5):
        producer.put(CAPTURE, bytes(8) + text(b"z" * i))
    producer.sequence += 1
    producer.put(CAPTURE, bytes(8) + text(b""))
    with pytest.raises(MonitorError, match="record 6 where 5 was due"):
        drain(reader)


@pytest.mark.parametrize("size", [0, 16, 36, 41, 2000])
def test_a_damaged_size(size: int) -> None:
    producer = Producer()
    reader = producer.reader()
    producer.put(CAPTURE, bytes(8) + text(b"abc"))
    producer.data[2:4] = np.frombuffer(struct.pack("<H", size), np.uint8)
    with pytest.raises(MonitorError, match="damaged"):
        drain(reader)


@pytest.mark.parametrize(
    "payload",
    [
        bytes(8) + struct.pack("<Q", 21) + bytes(24),  # longer than asked for
        bytes(8) + struct.pack("<Q", 16) + bytes(8),  # beyond the record
        bytes(8) + text(b"a") + bytes(8) + text(b"c") + bytes(8),  # something behind
        bytes(8) + text(b"a") + bytes(8),  # something missing
        bytes(8) + struct.pack("<Q", 2**62) + bytes(24),
    ],
)
def test_damaged_values(payload: bytes) -> None:
    producer = Producer()
    reader = producer.reader()
    for _ in range(2):
        producer.put(CAPTURE, payload)
    with pytest.raises(MonitorError, match="damaged"):
        together(MIXED, drain(reader))


def test_no_records() -> None:
    nothing = RawCaptures(np.empty(0, np.uint8), np.empty(0, np.int64), 0)
    assert len(MIXED.decode(nothing)) == 0
