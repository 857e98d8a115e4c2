"""What the monitor performs in place of a core leaves what the core leaves."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from bare import CPUS, ROOT
from emulated_cases import (
    CASES,
    EL0T,
    EL1H,
    EL1T,
    GUARDED_ALIAS,
    UPPER_HALF,
    USER_ALIAS,
    Case,
    Run,
    Runner,
    make_case,
    set_branch_type,
    words_by_operation,
)

from stepvisor.monitor.emulation import Operation
from stepvisor.monitor.vocabulary import Trap

pytestmark = pytest.mark.system

_EACH = 250
_MAX = CPUS[-1]
_TRIALS = 8
"""Signatures that the monitor compares before it trusts its own."""


@functools.cache
def _words() -> dict[Operation, list[int]]:
    return words_by_operation(Random(20), _EACH)


def _cases(
    random: Random, *left_out: Operation, each: int = 3 * _EACH, alias: int = 0
) -> list[Case]:
    used = [random.sample(w, min(each, len(w))) for op, w in _words().items() if op not in left_out]
    words = [word for found in used for word in found]
    assert len(words) <= CASES
    random.shuffle(words)
    return [make_case(random, word, place, alias) for place, word in enumerate(words)]


def _of(random: Random, count: int, *operations: Operation, alias: int = 0) -> list[Case]:
    words = [random.choice(_words()[random.choice(operations)]) for _ in range(count)]
    return [make_case(random, word, place, alias) for place, word in enumerate(words)]


def _same(run: Run) -> None:
    assert run.differences[:10] == []


@pytest.mark.parametrize("cpu", CPUS)
def test_every_operation_leaves_what_the_core_leaves(cpu: str) -> None:
    cases = _cases(Random(1), Operation.PACIASP)
    with Runner(cpu) as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == run.expected > 0.9 * len(cases) > 36 * _EACH


def test_the_same_cases_stepped() -> None:
    cases = _cases(Random(2), each=40)
    with Runner() as guest:
        run = guest.run(cases, emulate=False)

    _same(run)
    assert run.emulated == 0


def _signatures(random: Random, count: int, mode: int, base: int) -> list[Case]:
    """Of pointers to one half of the address space."""
    cases = _of(random, count, Operation.PACIASP)
    for case in cases:
        case.x[30] = base + random.getrandbits(38)
        case.pstate = (case.pstate & ~0xF) | mode & 0xF
    return cases


def test_pointers_are_signed_as_the_core_signs_them() -> None:
    """A signature with the other stack pointer teaches nothing, wrong or right."""
    random = Random(3)
    taught = [
        _signatures(random, _TRIALS, mode, base)
        for mode, base in ((EL1T, 0), (EL1H, 0), (EL1H, UPPER_HALF))
    ]
    with Runner() as guest:
        first = [guest.run(cases) for cases in taught]
        then = guest.run(_of(random, 4000, Operation.PACIASP))

    for run in (*first, then):
        _same(run)
    assert [run.emulated for run in first] == [0, 0, 0]
    assert then.emulated == then.expected
    assert len({int(x30) for x30 in then.native["x"][:, 30]}) > 2000


def test_a_core_that_signs_otherwise_in_one_half_is_noticed(tmp_path: Path) -> None:
    """What agrees in the lower half may differ in the upper: nothing of it may reach the guest."""
    right = "	if (has >= FEAT_PAUTH2)\n"
    wrong = "	if (!(has >= FEAT_PAUTH2))\n"
    monitor = _mutant(tmp_path, "pointer_auth.c", right, wrong)
    random = Random(11)
    lower = _signatures(random, 2 * _TRIALS, EL1H, 0)
    with Runner(monitor=monitor) as guest:
        runs = [guest.run(cases) for cases in (lower, _of(random, 400, Operation.PACIASP))]

    for run in runs:
        _same(run)
    assert runs[0].emulated == _TRIALS


@pytest.mark.parametrize(("cpu", "sign"), [(_MAX, 0), (CPUS[0], 1)])
def test_pointers_that_nobody_signs(cpu: str, sign: int) -> None:
    cases = _of(Random(4), 200, Operation.PACIASP)
    with Runner(cpu, variables={"sign_pointers": sign}) as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == len(cases)


def test_branch_types_in_pages_without_guard() -> None:
    random = Random(5)
    cases = _cases(random, Operation.PACIASP, each=60)
    for case in cases:
        set_branch_type(case, random.getrandbits(2))
    with Runner() as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == run.expected


def test_branches_from_guarded_pages() -> None:
    """Landing on an SVC that is no target for them: what BTYPE they leave is in its exception."""
    branches = (Operation.BRANCH_REGISTER, Operation.BRANCH, Operation.BRANCH_ZERO)
    cases = _of(Random(6), 2000, *branches, alias=GUARDED_ALIAS)
    with Runner() as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == run.expected


def test_probes_where_a_branch_may_not_lead() -> None:
    """A BRK is a target for every branch, the instruction under it is not."""
    random = Random(7)
    cases = _cases(random, Operation.PACIASP, each=30, alias=GUARDED_ALIAS)
    for case in cases:
        case.trap = Trap.BRK
        set_branch_type(case, random.randrange(1, 4))
    with Runner() as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == 0
    assert len({int(esr) >> 26 for esr in run.native["esr"]}) > 1


def test_user_code_is_stepped() -> None:
    """Some of these instructions are undefined there, and kernel memory is out of reach."""
    cases = _cases(Random(8), each=30, alias=USER_ALIAS)
    for case in cases:
        case.trap = Trap.BRK
        case.pstate = (case.pstate & ~0xF) | EL0T
    with Runner() as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == 0


@pytest.mark.parametrize("cpu", [CPUS[0], _MAX])
def test_access_flags_are_set_by_loads(cpu: str) -> None:
    cases = _of(Random(9), 4000, Operation.LOAD)
    with Runner(cpu, variables={"manage_access_flags": 1}) as guest:
        run = guest.run(cases)

    _same(run)
    assert run.emulated == run.expected
    flags = {int(descriptor) >> 10 & 1 for descriptor in run.native["accessed"]}
    assert flags == ({0, 1} if cpu == _MAX else {0})


_MISTAKES = [
    ("alu.c", "result < x || (carry && result == x)", "result < x"),
    ("alu.c", "~(x ^ y) & (x ^ result) & sign", "(x ^ y) & (x ^ result) & sign"),
    ("alu.c", "moved = rotate_right(source, rotate, wide) & wmask", "moved = source & wmask"),
    ("alu.c", "(condition & 1) && condition != 15", "(condition & 1)"),
    ("emulate.c", "v->frame.pstate &= ~SPSR_ELx_BTYPE_MASK;", ""),
    ("translate.c", "par = address_translate(va, pan);", "par = address_translate(va, false);"),
]


@pytest.mark.parametrize(("file", "right", "wrong"), _MISTAKES)
def test_a_mistake_is_found(file: str, right: str, wrong: str, tmp_path: Path) -> None:
    """One at a time, in a copy of the monitor."""
    monitor = _mutant(tmp_path, file, right, wrong)
    random = Random(10)
    cases = _cases(random, each=80)
    for case in cases:
        set_branch_type(case, random.getrandbits(2))
    with Runner(monitor=monitor, variables={"manage_access_flags": 1}) as guest:
        run = guest.run(cases)

    assert run.differences != []


def _mutant(directory: Path, file: str, right: str, wrong: str) -> Path:
    source = directory / "el2"
    shutil.copytree(ROOT / "el2", source)
    text = (source / file).read_text(encoding="utf-8")
    assert text.count(right) == 1
    (source / file).write_text(text.replace(right, wrong), encoding="utf-8")
    built = directory / "built"
    subprocess.run([sys.executable, source / "build.py", "--output", built], check=True)
    return built / "monitor.bin"
