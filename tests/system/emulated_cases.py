"""Random instructions and states for tests/guests/emulated.c, and what the guest made of them.

The oracle is the core: every case runs without a probe, then with one, and must leave the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Self

import numpy as np
from bare import CPUS, BareGuest
from numpy.typing import NDArray

from stepvisor.monitor.emulation import Emulation, Operand, Operation
from stepvisor.monitor.interface import Plan, ProbeRequest
from stepvisor.monitor.vocabulary import Trap
from stepvisor.probe import emulate_control, emulate_immediate, emulate_register
from stepvisor.probe.emulate import decode
from stepvisor.probe.fields import ones
from stepvisor.probe.plan import step_plan

__all__ = (
    "CASES",
    "EL0T",
    "EL1H",
    "EL1T",
    "GUARDED_ALIAS",
    "PACIASP",
    "UPPER_HALF",
    "USER_ALIAS",
    "Case",
    "Run",
    "Runner",
    "make_case",
    "set_branch_type",
    "words_by_operation",
)

CASES = 16384
"""At most, in one go."""

RAM = 0x4800_0000
_WORDS = 0x4880_0000
CODE = 0x48A0_0000
_STARTS = 0x48C0_0000
_OUTCOMES = 0x4940_0000
DATA = 0x4A00_0000
DATA_SIZE = 0x10_0000
_CASE_WORDS = 4
_SVC = 0xD400_0001
PACIASP = 0xD503_233F

UPPER_HALF = 0xFFFF_FF80_0000_0000
GIGABYTE = 1 << 30
_ADDRESS_BITS = 39
_RAM_IN_GIGABYTE = RAM % GIGABYTE

EL0T, EL1T, EL1H = 0x3C0, 0x3C4, 0x3C5
_PAN, _BTYPE_SHIFT = 1 << 22, 10
USER_ALIAS = 0x8000_0000
GUARDED_ALIAS = 0x1_0000_0000 - GIGABYTE
_MASK = (1 << 64) - 1
_WITH_PAN, _WITH_BTI = CPUS[2:], CPUS[3:]

START = np.dtype(
    [
        ("x", "<u8", 31),
        ("sp_el1", "<u8"),
        ("pc", "<u8"),
        ("pstate", "<u8"),
        ("sp_el0", "<u8"),
        ("reserved", "<u8"),
    ]
)
OUTCOME = np.dtype(
    [
        ("x", "<u8", 31),
        ("sp_el1", "<u8"),
        ("pc", "<u8"),
        ("pstate", "<u8"),
        ("esr", "<u8"),
        ("far", "<u8"),
        ("sp_el0", "<u8"),
        ("vector", "<u8"),
        ("par", "<u8"),
        ("key", "<u8", 2),
        ("accessed", "<u8"),
    ]
)

_DECODERS = (
    *emulate_immediate.DECODERS,
    *emulate_register.DECODERS,
    *emulate_control.DECODERS,
)


@dataclass
class Case:
    """One instruction and the state it starts from."""

    word: int
    x: list[int]
    sp_el1: int
    sp_el0: int
    pstate: int
    alias: int = 0
    """Added to the address of the code."""
    emulated: bool = True
    """Whether the monitor must perform it itself."""
    unless_bti: bool = False
    """Only where there is no BTI: it leaves one BTYPE in a guarded page and another elsewhere."""
    unless_pan: bool = False
    """Only where there is no PAN, which forbids it."""
    trap: Trap = Trap.SMC


def words_by_operation(random: Random, each: int) -> dict[Operation, list[int]]:
    """At least `each` words of every operation, from all forms: whatever the decoder takes."""
    found: dict[Operation, list[int]] = {operation: [] for operation in Operation}
    for mask, value, _ in _DECODERS:
        here: dict[Operation, list[int]] = {}
        for _ in range(40 * each):
            word = value | (random.getrandbits(32) & ~mask)
            emulation = decode.__wrapped__(word)
            if emulation is not None and len(here.setdefault(emulation.operation, [])) < each:
                here[emulation.operation].append(word)
        for operation, words in here.items():
            found[operation] += words
    return {op: words * (1 + (each - 1) // len(words)) for op, words in found.items()}


def _value(random: Random) -> int:
    """A number that is likely to matter."""
    kind = random.randrange(8)
    if kind < 3:
        return random.getrandbits(64)
    if kind == 3:
        return random.getrandbits(32)
    if kind == 4:
        return (random.choice((0, 1 << 31, 1 << 32, 1 << 63)) + random.randrange(-2, 3)) & _MASK
    if kind == 5:
        return random.getrandbits(6)
    if kind == 6:
        return ~random.getrandbits(random.randrange(1, 64)) & _MASK
    return 1 << random.randrange(64)


def make_case(random: Random, word: int, place: int, alias: int = 0) -> Case:
    """A case of `word` that will run as number `place`; branches go to some other case's SVC."""
    emulation = decode(word)
    x = [_value(random) for _ in range(31)]
    if random.randrange(4) == 0:
        x[random.randrange(31)] = x[random.randrange(31)]
    case = Case(
        word,
        x,
        sp_el1=_value(random),
        sp_el0=_value(random),
        pstate=random.choice((EL1H, EL1H, EL1H, EL1T)) | random.getrandbits(4) << 28,
        alias=alias,
    )
    if emulation is not None and emulation.operation in _SPECIAL:
        _SPECIAL[emulation.operation](random, case, emulation, place)
    return case


def set_branch_type(case: Case, branch_type: int) -> None:
    """Let it start as if a branch had led there."""
    case.pstate |= branch_type << _BTYPE_SHIFT


def address_of(place: int) -> int:
    """Of the instruction of case number `place`."""
    return CODE + place * _CASE_WORDS * 4 + 4


def _target(random: Random, place: int, reach: int) -> int:
    """Offset to the SVC before or behind some case at most `reach` cases away."""
    other = random.randrange(max(0, place - reach), min(CASES, place + reach))
    return address_of(other) + random.choice((-4, 4, 8)) - address_of(place)


def _branch(low: int, width: int, reach: int) -> Callable[[Random, Case, Emulation, int], None]:
    def prepare(random: Random, case: Case, emulation: Emulation, place: int) -> None:
        field_mask = (1 << width) - 1
        offset = _target(random, place, reach) >> 2
        case.word = (case.word & ~(field_mask << low)) | (offset & field_mask) << low
        if emulation.operation is not Operation.BRANCH and random.getrandbits(1):
            # Whether it is zero, or a bit of it, ought to come out either way.
            n = emulation.n
            if n < 31:
                case.x[n] = random.choice((0, 1 << 32, 1 << random.randrange(64)))

    return prepare


def _branch_register(random: Random, case: Case, emulation: Emulation, place: int) -> None:
    case.unless_bti = not emulation.operand & (Operand.RETURN | Operand.LINK)
    if emulation.n == 31:
        return
    target = address_of(place) + case.alias + _target(random, place, CASES)
    odd = random.randrange(10)
    if odd == 0:
        target += random.randrange(1, 4)
    elif odd == 1:
        target |= random.getrandbits(8) << 56
    elif odd == 2:
        target = UPPER_HALF + random.getrandbits(30) // 4 * 4
    case.x[emulation.n] = target & _MASK
    top = case.x[emulation.n] >> 55
    case.emulated = case.x[emulation.n] % 4 == 0 and top in {0, 0x1FF}
    jump = not emulation.operand & (Operand.RETURN | Operand.LINK)
    case.unless_bti = jump and emulation.n not in {16, 17}


def _load(random: Random, case: Case, emulation: Emulation, _place: int) -> None:
    """Mostly from plain memory of the upper half; also where it must not be emulated."""
    size = emulation.a
    where = random.choice((DATA, DATA, DATA, CODE))
    address = where + random.randrange(0, DATA_SIZE // 16, size)
    region = random.choice((0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, None))
    aligned = True
    if random.randrange(8) == 0 and size > 1 and region not in {4, 7}:
        address += random.randrange(1, size)
        aligned = False
    pan = random.getrandbits(1)
    case.pstate |= pan * _PAN
    if region is None:
        base = address  # the lower half
    elif region == 8:
        base = UPPER_HALF + 8 * GIGABYTE + address % 4096
    else:
        base = UPPER_HALF + region * GIGABYTE + (address - RAM + _RAM_IN_GIGABYTE)
    if random.randrange(16) == 0:
        base = random.getrandbits(64) | 1 << 55
        region = None
    case.x[emulation.n] = (base - emulation.immediate) & _MASK
    case.emulated = aligned and region in {0, 1}
    case.unless_pan = region == 1 and bool(pan)


def _read_sp_el0(_random: Random, case: Case, _emulation: Emulation, _place: int) -> None:
    case.emulated = case.pstate & 1 == 1


def _paciasp(random: Random, case: Case, _emulation: Emulation, _place: int) -> None:
    kind = random.randrange(4)
    if kind < 3:
        case.x[30] = (UPPER_HALF if kind else 0) + random.getrandbits(38)
    case.emulated = case.x[30] >> _ADDRESS_BITS in {0, ones(64 - _ADDRESS_BITS)}


_SPECIAL: Mapping[Operation, Callable[[Random, Case, Emulation, int], None]] = {
    Operation.BRANCH: _branch(0, 26, CASES),
    Operation.BRANCH_IF: _branch(5, 19, CASES),
    Operation.BRANCH_ZERO: _branch(5, 19, CASES),
    Operation.BRANCH_BIT: _branch(5, 14, 1900),
    Operation.BRANCH_REGISTER: _branch_register,
    Operation.LOAD: _load,
    Operation.READ_SP_EL0: _read_sp_el0,
    Operation.PACIASP: _paciasp,
}


@dataclass
class Run:
    """What a set of cases left, without and with probes."""

    cases: Sequence[Case]
    native: NDArray[np.void]
    probed: NDArray[np.void]
    emulated: int
    expected: int
    """How many the monitor had to perform itself."""

    @property
    def differences(self) -> list[str]:
        """Every case that the probe made a difference to."""
        wrong = np.flatnonzero(self.native != self.probed)
        return [self._describe(int(i)) for i in wrong]

    def _describe(self, index: int) -> str:
        case = self.cases[index]
        words = [np.frombuffer(part[index].tobytes(), "<u8") for part in (self.native, self.probed)]
        first = int(np.flatnonzero(words[0] != words[1])[0])
        return (
            f"{index}: {case.word:08x} {decode(case.word)} pstate {case.pstate:#x}: word {first}"
            f" is {words[1][first]:#x}, natively {words[0][first]:#x}"
        )


@dataclass
class Runner:
    """The guest, started; a context manager."""

    cpu: str = CPUS[-1]
    monitor: Path | None = None
    variables: Mapping[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._guest = BareGuest(
            "emulated",
            cpu=self.cpu,
            monitor=self.monitor,
            variables={
                **self.variables,
                "words": _WORDS,
                "code": CODE,
                "starts": _STARTS,
                "outcomes": _OUTCOMES,
                "code_size": CASES * _CASE_WORDS * 4,
            },
        )
        self._guest.machine.ram.write(DATA, Random(1).randbytes(DATA_SIZE))
        return self

    def __exit__(self, *_: object) -> None:
        self._guest.close()

    def run(self, cases: Sequence[Case], *, emulate: bool = True) -> Run:
        """Run all of `cases`, without and with probes; every probe is hit once, no step is lost."""
        guest = self._guest
        guest.ready("cases")
        self._write(cases)
        guest.go()
        guest.ready("native")
        native = self._outcomes(len(cases))
        guest.machine.ram.write(_OUTCOMES, bytes(len(cases) * OUTCOME.itemsize))
        requests = [self._request(place, case, emulate=emulate) for place, case in enumerate(cases)]
        guest.monitor.arm(requests)
        before = self._counters()
        guest.go()
        guest.ready("probed")
        hits, emulated, steps = (a - b for a, b in zip(self._counters(), before, strict=True))
        probed = self._outcomes(len(cases))
        guest.disarm(requests)
        guest.assert_clean()
        guest.go()
        assert hits == len(cases)
        assert emulated + steps == hits
        expected = sum(self._is_emulated(case) for case in cases) if emulate else 0
        return Run(cases, native, probed, emulated, expected)

    def _is_emulated(self, case: Case) -> bool:
        forbidden = (case.unless_bti and self.cpu in _WITH_BTI) or (
            case.unless_pan and self.cpu in _WITH_PAN
        )
        return case.emulated and not forbidden

    def _counters(self) -> tuple[int, ...]:
        self._guest.drain()
        return tuple(self._guest.total(name) for name in ("hits", "emulated", "steps"))

    def _request(self, place: int, case: Case, *, emulate: bool) -> ProbeRequest:
        address = address_of(place)
        request = ProbeRequest(
            slot=1 + place,
            va=address + case.alias,
            ipa=address,
            word=case.word,
            plan=step_plan(case.word),
            label=f"case {place}",
            trap=case.trap,
        )
        if not emulate:
            return request
        return replace(request, plan=Plan.EMULATE, emulation=decode(case.word))

    def _write(self, cases: Sequence[Case]) -> None:
        assert len(cases) <= CASES
        words = np.full((CASES, _CASE_WORDS), _SVC, "<u4")
        words[: len(cases), 1] = [case.word for case in cases]
        starts = np.zeros(len(cases), START)
        for name in ("x", "sp_el1", "sp_el0", "pstate"):
            starts[name] = [getattr(case, name) for case in cases]
        starts["pc"] = [address_of(place) + case.alias for place, case in enumerate(cases)]
        ram = self._guest.machine.ram
        ram.write(_WORDS, words.tobytes())
        ram.write(_STARTS, starts.tobytes())
        count = self._guest.payload.symbols["count"]
        ram.write(count, len(cases).to_bytes(8, "little"))

    def _outcomes(self, count: int) -> NDArray[np.void]:
        data = self._guest.monitor.read_physical(_OUTCOMES, count * OUTCOME.itemsize)
        return np.frombuffer(data, OUTCOME)
