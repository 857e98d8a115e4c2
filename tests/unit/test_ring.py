"""The consumer of a ring, against a producer written for the tests."""

import itertools
import struct

import numpy as np
import pytest

from stepvisor._gen import wire
from stepvisor.errors import MonitorError
from stepvisor.monitor.events import Drained, Lost, ProbeChanged, ProbeGone
from stepvisor.monitor.ring import RingReader

SIZE = 4096
VCPU = 3


class Producer:
    """Packs records by the wire declaration's offsets, with `struct` instead of NumPy."""

    def __init__(self, start: int = 0) -> None:
        self.data = np.zeros(SIZE, np.uint8)
        self.index = np.zeros(1, wire.RING_INDEX)
        self.index["head"][0] = start
        self.index["tail"][0] = start
        self.sequence = 0

    def reader(self) -> RingReader:
        return RingReader(VCPU, self.data, self.index)

    def room(self) -> int:
        return SIZE - int(self.index["head"][0]) + int(self.index["tail"][0])

    def put(self, kind: int, payload: bytes, *, counts: bool = True, slot: int = 7) -> None:
        size = 32 + len(payload)
        rest = SIZE - int(self.index["head"][0]) % SIZE
        if rest < size:
            if rest >= 32:
                self.raw(struct.pack("<HHBBHQQQ", 0, 0, 0, 0, 0, 0, 0, 0), rest)
            else:
                self.raw(b"", rest)
        head = struct.pack("<HHBBHQQQ", kind, size, VCPU, 0, slot, self.sequence, 1000, 0xFFFF)
        self.sequence += counts
        self.raw(head + payload, size)

    def raw(self, data: bytes, size: int) -> None:
        position = int(self.index["head"][0]) % SIZE
        self.data[position : position + len(data)] = np.frombuffer(data, np.uint8)
        self.index["head"][0] += np.uint64(size)

    def hit(self, *x: int) -> None:
        self.put(1, struct.pack("<6Q", *x, *[0] * (6 - len(x))))

    def lost(self, count: int) -> None:
        self.sequence += count
        self.put(2, struct.pack("<Q", count), counts=False)


def drain(reader: RingReader) -> Drained:
    drained = Drained()
    reader.drain(drained)
    return drained


def test_hits_come_out_as_they_went_in() -> None:
    """One array, every field."""
    producer = Producer()
    reader = producer.reader()
    for i in range(10):
        producer.hit(i, i * 2, 2**64 - 1)

    drained = drain(reader)

    (hits,) = drained.hits
    assert hits["x"][:, 0].tolist() == list(range(10))
    assert hits["x"][:, 2].tolist() == [2**64 - 1] * 10
    assert set(hits["vcpu"].tolist()) == {VCPU}
    assert set(hits["slot"].tolist()) == {7}
    assert set(hits["pc"].tolist()) == {0xFFFF}
    assert hits["sequence"].tolist() == list(range(10))
    assert not drained.notices
    assert int(producer.index["tail"][0]) == int(producer.index["head"][0])
    assert not drain(reader)


def test_drained_hits_do_not_alias_the_ring() -> None:
    """The monitor may overwrite what has been consumed."""
    producer = Producer()
    reader = producer.reader()
    producer.hit(5)
    (hits,) = drain(reader).hits

    producer.data[:] = 0xFF

    assert hits["x"][0, 0] == 5


@pytest.mark.parametrize("start", [0, 8, 16, 24, 32, 40, 4088, 2**40 + 4000])
def test_many_laps_lose_nothing(start: int) -> None:
    """Whatever rest is left at the end of the ring: a header, less than one, or none."""
    producer = Producer(start)
    reader = producer.reader()
    out: list[int] = []
    sent = 0
    for burst in itertools.islice(itertools.cycle([1, 7, 20, 3, 45]), 200):
        for _ in range(burst):
            if producer.room() < 400:
                break
            producer.hit(sent)
            sent += 1
        for hits in drain(reader).hits:
            out += hits["x"][:, 0].tolist()

    assert sent > 1000
    assert out == list(range(sent))


def test_notices_between_hits() -> None:
    """Each kind, typed, with hits around them kept."""
    producer = Producer()
    reader = producer.reader()
    producer.hit(1)
    producer.lost(12)
    producer.hit(2)
    producer.put(3, struct.pack("<II", 0xD503201F, 0x14000000))
    producer.put(4, b"")
    producer.hit(3)

    drained = drain(reader)

    assert [h["x"][:, 0].tolist() for h in drained.hits] == [[1], [2], [3]]
    assert drained.notices == [
        Lost(vcpu=VCPU, slot=7, ticks=1000, pc=0xFFFF, lost=12),
        ProbeChanged(VCPU, 7, 1000, 0xFFFF, old=0xD503201F, new=0x14000000),
        ProbeGone(VCPU, 7, 1000, 0xFFFF),
    ]


def test_a_missing_record_is_noticed() -> None:
    """A gap that no LOST record explains."""
    producer = Producer()
    reader = producer.reader()
    producer.hit(1)
    producer.sequence += 1
    producer.hit(2)

    with pytest.raises(MonitorError, match="record 2 where 1 was due"):
        drain(reader)


def test_a_doubled_record_is_noticed() -> None:
    """The same number twice."""
    producer = Producer()
    reader = producer.reader()
    producer.hit(1)
    producer.sequence -= 1
    producer.hit(1)

    with pytest.raises(MonitorError, match="record 0 where 1 was due"):
        drain(reader)


def test_a_wrong_loss_is_noticed() -> None:
    """A LOST record that does not add up."""
    producer = Producer()
    reader = producer.reader()
    producer.hit(1)
    producer.put(2, struct.pack("<Q", 5), counts=False)

    with pytest.raises(MonitorError, match="record 1 where 6 was due"):
        drain(reader)


@pytest.mark.parametrize(
    ("kind", "size"),
    [(1, 0), (1, 8), (1, 79), (1, 160), (2, 32), (3, 36), (9, 40), (0, 12), (0, 0)],
)
def test_impossible_records_end_in_an_error(kind: int, size: int) -> None:
    """Never in a loop: sizes of zero, too small, unaligned, too large, and unknown types."""
    producer = Producer()
    reader = producer.reader()
    producer.raw(struct.pack("<HHBBHQQQ", kind, size, VCPU, 0, 1, 0, 0, 0), 80)

    with pytest.raises(MonitorError, match="ring of vCPU 3 is damaged"):
        drain(reader)


@pytest.mark.parametrize("head", [1, SIZE + 72, 2**64 - 8])
def test_impossible_producer_index(head: int) -> None:
    """Unaligned, further ahead than the ring is long, or behind."""
    producer = Producer(64)
    reader = producer.reader()
    producer.index["head"][0] = head

    with pytest.raises(MonitorError, match="producer index"):
        drain(reader)


def test_a_hit_of_another_vcpu_is_refused() -> None:
    """Each ring has one producer."""
    producer = Producer()
    reader = producer.reader()
    producer.hit(1)
    producer.data[4] = VCPU + 1

    with pytest.raises(MonitorError, match="damaged"):
        drain(reader)


def test_random_bytes_never_hang_or_escape() -> None:
    """A thousand rings of noise: an error or an empty result, each time."""
    random = np.random.default_rng(2)
    outcomes = set()
    for _ in range(1000):
        producer = Producer()
        producer.data[:] = random.integers(0, 4, SIZE) * random.integers(0, 2, SIZE)
        producer.index["head"][0] = int(random.integers(0, SIZE // 8)) * 8
        try:
            outcomes.add(bool(drain(producer.reader())))
        except MonitorError:
            outcomes.add("error")

    assert "error" in outcomes
