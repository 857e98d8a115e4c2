"""Programs at EL2 against two oracles in Python: of the language, and of the machine."""

import random
from collections.abc import Iterator
from dataclasses import replace

import expressions
import machine
import numpy as np
import pytest
from bare import BareGuest
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import ExpressionError, MonitorError
from stepvisor.monitor.arming import Programs
from stepvisor.monitor.capture import RawCaptures
from stepvisor.monitor.events import HIT_DTYPE
from stepvisor.monitor.interface import ProbeRequest
from stepvisor.monitor.mailbox import RefusedError
from stepvisor.monitor.program import GuestValue, Instruction, Opcode, Program, encode, refusal
from stepvisor.probe.program import HitProgram, read_program

pytestmark = pytest.mark.system

CASES, REGISTERS = 64, 8
MEMORY_SIZE = 4096
NOWHERE = 0xDEAD_0000_0000_0000
INTERESTING = (0, 1, 7, 63, 64, 4096, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**64 - 22)
END = Instruction(Opcode.ACCEPT)


class CapturingGuest(BareGuest):
    """Keeps capture records, too."""

    captures: list[RawCaptures]

    @property
    def plain(self) -> NDArray[np.void]:
        """Hits without captures."""
        return np.concatenate([np.empty(0, HIT_DTYPE), *self._hits])

    def drain(self) -> None:
        drained = self.monitor.drain()
        self._hits += drained.hits
        self.notices += drained.notices
        self.captures = [*getattr(self, "captures", []), *drained.captures]


class Bench:
    """A payload that makes hits with the registers that a test wants."""

    def __init__(self, guest: CapturingGuest) -> None:
        self.guest = guest
        self.memory = guest.address("memory")
        self._used = 0
        self._slot = 0

    def ask(self, asked: HitProgram, cases: NDArray[np.uint64]) -> NDArray[np.void]:
        """The records of a hit per case."""
        number = self.guest.monitor.load_program(asked.program())
        captures = self.hit(number, cases)
        assert asked.layout is not None
        return np.concatenate(
            [np.empty(0, asked.layout.dtype), *(asked.layout.decode(raw) for raw in captures)]
        )

    def hit(self, program: int, cases: NDArray[np.uint64]) -> list[RawCaptures]:
        self.guest.captures = []
        self.guest._hits = []
        self.guest.machine.ram.write(self.guest.address("cases"), cases.tobytes())
        request = self.request(program)
        self.guest.monitor.arm([request])
        self.guest.go()
        self.guest.ready("round")
        self.guest.monitor.disarm([request.slot])
        self.guest.drain()
        return self.guest.captures

    def request(self, program: int) -> ProbeRequest:
        self._slot = self._slot % 1000 + 1
        return replace(self.guest.request("program_site", self._slot), program=program)

    def write_memory(self, content: bytes) -> None:
        self.guest.machine.ram.write(self.memory, content)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with CapturingGuest("program", variables={"rounds": 10_000}) as guest:
        guest.ready("round")
        yield Bench(guest)


def random_memory(rng: random.Random, base: int) -> bytes:
    """Numbers, and in the first words pointers: into it, and to nowhere."""
    pointers = [rng.choice((base + rng.randrange(2048), NOWHERE)) for _ in range(64)]
    return np.array(pointers, "<u8").tobytes() + rng.randbytes(MEMORY_SIZE - 512)


def random_cases(rng: random.Random, base: int) -> NDArray[np.uint64]:
    """Register 7 is an address: of a pointer in the memory, of something there, or of nothing."""
    rows = [
        [rng.choice((rng.choice(INTERESTING), rng.getrandbits(64))) for _ in range(7)]
        + [rng.choice((base + 8 * rng.randrange(60), base + rng.randrange(2048), NOWHERE))]
        for _ in range(CASES)
    ]
    return np.array(rows, np.uint64)


@pytest.mark.parametrize("seed", range(12))
def test_random_expressions(bench: Bench, seed: int) -> None:
    """Eight captured expressions and a predicate, 64 hits."""
    rng = random.Random(seed)
    content = random_memory(rng, bench.memory)
    bench.write_memory(content)
    cases = random_cases(rng, bench.memory)
    texts, where = random_question(rng)
    asked = read_program(where=where, capture=texts)
    assert asked is not None

    records = bench.ask(asked, cases)

    def memory(address: int, size: int) -> int:
        offset = address - bench.memory
        if not 0 <= offset <= len(content) - size:
            raise KeyError(address)
        return int.from_bytes(content[offset : offset + size], "little")

    expected = []
    for row in cases.tolist():
        oracle = machine.Oracle({f"x{n}": value for n, value in enumerate(row)}, memory)
        if oracle(where):
            expected.append([oracle(text) for text in texts])
    found = [[value % (1 << 64) for value in row] for row in values_of(records, len(texts))]
    assert found == expected, (where, texts)


def random_question(rng: random.Random) -> tuple[list[str], str]:
    while True:
        addresses = ("x7", "[x7]")
        texts = [expressions.value(rng, rng.randrange(1, 4), addresses) for _ in range(8)]
        where = expressions.predicate(rng, 3, addresses)
        try:
            read_program(where=where, capture=texts)
        except ExpressionError:
            continue
        return texts, where


def values_of(records: NDArray[np.void], count: int) -> list[list[int]]:
    return [
        list(row) for row in zip(*(records[f"v{n}"].tolist() for n in range(count)), strict=True)
    ]


def test_faults_are_values(bench: Bench) -> None:
    """What cannot be read is marked, and what is computed from it; its neighbours are not."""
    asked = read_program(
        capture=("[x0]", "x1", "[x0] + x1", "[[x0]]", "u8[x7]", "str(x0)", "str(x7, 8)", "1 + x1")
    )
    assert asked is not None
    bench.write_memory(b"abc\0" + bytes(MEMORY_SIZE - 4))
    cases = np.zeros((CASES, REGISTERS), np.uint64)
    cases[:, 0] = NOWHERE
    cases[:, 1] = np.arange(CASES)
    cases[:, 7] = bench.memory

    records = bench.ask(asked, cases)

    assert records["faults"].tolist() == [0b0010_1101] * CASES
    assert records["v1"].tolist() == records["v2"].tolist() == list(range(CASES))
    assert set(records["v0"].tolist()) == {0}
    assert set(records["v4"].tolist()) == {ord("a")}
    assert set(records["v5"].tolist()) == {b""}
    assert set(records["v6"].tolist()) == {b"abc"}


def test_values_across_the_end_of_memory(bench: Bench) -> None:
    """A number of which a part is there is none; of a string that part stays."""
    asked = read_program(capture=("u64[x0]", "u8[x0 + 3]", "str(x0, 8)", "u32[x0]"))
    assert asked is not None
    guest = bench.guest
    end = guest.parameters.ram_base + guest.parameters.ram_size
    guest.machine.ram.write(end - 4, b"abcd")
    cases = np.zeros((CASES, REGISTERS), np.uint64)
    cases[:, 0] = end - 4

    records = bench.ask(asked, cases)

    assert records["faults"].tolist() == [0b0101] * CASES
    assert set(records["v0"].tolist()) == {0}
    assert set(records["v1"].tolist()) == {ord("d")}
    assert set(records["v2"].tolist()) == {b"abcd"}
    assert set(records["v3"].tolist()) == {int.from_bytes(b"abcd", "little")}


def test_strings_of_all_lengths(bench: Bench) -> None:
    """The limit, the zero byte, whichever comes first; at any alignment."""
    asked = read_program(capture=("str(x7, 13)", "x0", "str(x7 + 1, 200)"))
    assert asked is not None
    text = bytes(range(1, 200)) + b"\0"
    bench.write_memory(text + bytes(MEMORY_SIZE - len(text)))
    cases = np.zeros((CASES, REGISTERS), np.uint64)
    cases[:, 0] = np.arange(CASES)
    cases[:, 7] = bench.memory + 190 - np.arange(CASES) * 3

    records = bench.ask(asked, cases)

    rest = [text[190 - 3 * n : -1] for n in range(CASES)]
    assert records["v0"].tolist() == [part[:13] for part in rest]
    assert records["v1"].tolist() == list(range(CASES))
    assert records["v2"].tolist() == [part[1:201] for part in rest]
    assert not records["faults"].any()


def test_what_else_is_known_at_a_hit(bench: Bench) -> None:
    asked = read_program(capture=("pc", "vcpu", "pstate & 15", "lr", "ticks"))
    assert asked is not None
    records = bench.ask(asked, np.zeros((CASES, REGISTERS), np.uint64))

    assert set(records["v0"].tolist()) == {bench.guest.address("program_site")}
    assert set(records["v1"].tolist()) == {0}
    assert set(records["v2"].tolist()) == {5}
    assert (records["v4"] <= records["ticks"]).all()
    assert (np.diff(records["v4"].astype(np.int64)) > 0).all()


def test_counters_and_histograms(bench: Bench) -> None:
    asked = read_program(count=("x0 >= 8",), histograms=("1 << x0", "x1"), record=False)
    assert asked is not None
    tallies = bench.guest.monitor.tallies
    before = tallies.counters(), tallies.histograms(), tallies.probes()
    cases = np.zeros((CASES, REGISTERS), np.uint64)
    cases[:, 0] = np.arange(CASES)
    cases[:, 1] = [n % 3 for n in range(CASES)]

    assert not bench.hit(bench.guest.monitor.load_program(asked.program(3, 5)), cases)

    counters, histograms, probes = (
        now - then
        for now, then in zip(
            (tallies.counters(), tallies.histograms(), tallies.probes()), before, strict=True
        )
    )
    assert counters[3] == CASES - 8
    assert histograms[5].tolist() == [0, *[1] * 62, 2]  # the last bucket takes 63 and 64 bits
    assert histograms[6].tolist() == [22, 21, 21, *[0] * 61]
    assert probes[bench._slot] == CASES
    assert (counters.sum(), histograms.sum(), probes.sum()) == (CASES - 8, 2 * CASES, CASES)


# The machine itself.


def random_instruction(rng: random.Random, left: int) -> Instruction:
    """Right most of the time; with the small chance of a mistake in any field."""
    opcode = rng.choice(list(Opcode))
    d, a, b = (rng.randrange(16) for _ in range(3))
    target = immediate = 0
    if opcode is Opcode.LOAD:
        b = rng.choice((1, 2, 4, 8))
    elif opcode in {Opcode.JUMP, Opcode.JUMP_IF_ZERO}:
        target = rng.randrange(max(left, 1))
    elif opcode is Opcode.JUMP_COMPARE:
        target = rng.randrange(max(left, 1))
        d, a, b = rng.randrange(8), rng.randrange(8), rng.randrange(4)
        immediate = rng.choice((*INTERESTING, rng.getrandbits(64)))
    elif opcode is Opcode.CONSTANT:
        immediate = rng.choice((*INTERESTING, rng.getrandbits(64)))
    elif opcode in {Opcode.GUEST, Opcode.EMIT_GUEST}:
        immediate = rng.randrange(8)
    elif opcode is Opcode.EMIT_STRING:
        opcode = Opcode.EMIT
    elif opcode in {Opcode.COUNT, Opcode.HISTOGRAM}:
        immediate = rng.randrange(128)
    elif opcode in {Opcode.ACCEPT, Opcode.REJECT} and rng.random() < 0.9:
        opcode = Opcode.ADD
    return Instruction(opcode, d, a, b, target, immediate)


def random_code(rng: random.Random, length: int) -> list[Instruction]:
    code = [random_instruction(rng, length - n - 1) for n in range(length - 1)]
    return [*code, Instruction(rng.choice((Opcode.ACCEPT, Opcode.ACCEPT, Opcode.REJECT)))]


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(bench: Bench, seed: int) -> None:
    """Loads are of registers that hold anything: mostly of nothing."""
    rng = random.Random(seed)
    code = random_code(rng, rng.choice((5, 20, 60, 120)))
    while refusal(code) is not None:
        code = random_code(rng, 60)
    cases = random_cases(rng, bench.memory)
    tallies = bench.guest.monitor.tallies
    before = tallies.counters(), tallies.histograms()

    def memory(address: int, size: int) -> int:
        try:
            raw = bench.guest.monitor.read_physical(address, size)
        except MonitorError as error:
            raise KeyError(address) from error
        return int.from_bytes(raw, "little")

    bench.write_memory(random_memory(rng, bench.memory))
    captures = bench.hit(bench.guest.monitor.load_program(Program(tuple(code))), cases)
    outcomes = [machine.simulate(code, dict(enumerate(row)), memory) for row in cases.tolist()]

    found = [row for raw in captures for row in payloads(raw)]
    accepted = [outcome.values for outcome in outcomes if outcome.accepted]
    assert found == [values for values in accepted if values]
    assert len(bench.guest.plain) == sum(not values for values in accepted)
    counted = [number for outcome in outcomes for number in outcome.counted]
    now = tallies.counters() - before[0]
    assert now.tolist() == np.bincount(counted, minlength=1024).tolist()
    expected = np.zeros((128, 64), np.uint64)
    for outcome in outcomes:
        for number, value in outcome.histogram:
            expected[number, min(value.bit_length(), 63)] += np.uint64(1)
    assert np.array_equal(tallies.histograms() - before[1], expected)


def payloads(raw: RawCaptures) -> list[list[int]]:
    """The values of each record, all of them numbers."""
    words = raw.data.view("<u8")
    sizes = raw.data.view("<u2")[raw.starts * 4 + 1] // 8
    return [
        words[start + 5 : start + size].tolist()
        for start, size in zip(raw.starts.tolist(), sizes.tolist(), strict=True)
    ]


def test_refusals_are_the_same(bench: Bench) -> None:
    """What the host would refuse the monitor refuses, and nothing else."""
    rng = random.Random(1)
    mailbox = bench.guest.monitor._mailbox
    refused = 0
    for _ in range(1500):
        code = random_code(rng, rng.randrange(1, 12))
        for _ in range(rng.randrange(3)):
            spoil(rng, code)
        mailbox.command(wire.Command.UNLOAD_PROGRAMS)
        bulk = encode(Program(tuple(code)))
        if refusal(code) is None:
            mailbox.command(wire.Command.LOAD_PROGRAM, (0,), bulk=bulk)
            continue
        with pytest.raises(RefusedError, match="BAD_PROGRAM"):
            mailbox.command(wire.Command.LOAD_PROGRAM, (0,), bulk=bulk)
        refused += 1
    mailbox.command(wire.Command.UNLOAD_PROGRAMS)
    bench.guest.monitor._programs = Programs(mailbox)
    assert 100 < refused < 1400


def spoil(rng: random.Random, code: list[Instruction]) -> None:
    n = rng.randrange(len(code))
    field = rng.choice(("d", "a", "b", "target", "immediate", "opcode"))
    limits = {"d": 18, "a": 18, "b": 18, "target": 14, "immediate": 2000}
    wrong = rng.choice(list(Opcode)) if field == "opcode" else rng.randrange(limits[field])
    code[n] = code[n]._replace(**{field: wrong})


def test_too_long_a_program_and_one_that_is_none(bench: Bench) -> None:
    with pytest.raises(MonitorError, match="257 instructions"):
        bench.guest.monitor.load_program(Program((END,) * 257))
    wrong = bench.request(program=12_345)
    with pytest.raises(MonitorError, match="BAD_PROGRAM"):
        bench.guest.monitor.arm([wrong])


def test_programs_are_loaded_once_and_unloaded_for_room(bench: Bench) -> None:
    monitor = bench.guest.monitor
    first = monitor.load_program(Program((END,)))
    assert monitor.load_program(Program((END,))) == first
    filler = Instruction(Opcode.CONSTANT)
    for n in range(300):
        number = Instruction(Opcode.CONSTANT, immediate=n)
        monitor.load_program(Program((number, *[filler] * 253, END)))
    # 76,500 instructions, where 65,536 fit: the first ones have gone, and come back.
    asked = read_program(capture=("x0",))
    assert asked is not None
    cases = np.arange(CASES * REGISTERS, dtype=np.uint64).reshape(CASES, REGISTERS)
    assert bench.ask(asked, cases)["v0"].tolist() == cases[:, 0].tolist()


def test_guest_values_have_the_wire_numbers() -> None:
    assert GuestValue.SP == 31
    assert GuestValue.TICKS == 39
