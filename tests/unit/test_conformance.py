"""The conformance suite without a guest: what it draws is what it says, and can be drawn again."""

import importlib
import re
import struct
import subprocess
from pathlib import Path
from random import Random

import numpy as np
import pytest

from stepvisor.arch.aarch32 import InstructionSet
from stepvisor.arch.disassemble import disassemble
from stepvisor.cli import main
from stepvisor.conformance.aarch32 import EXITS, instructions, set_of
from stepvisor.conformance.classes import CLASSES
from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import EXIT, Draft
from stepvisor.conformance.failure import Failure
from stepvisor.conformance.features import Feature, detect
from stepvisor.conformance.layout import (
    BATCH,
    BATCH_OFFSET,
    BATCH_STRIDE,
    CASE,
    RESULT,
    SCRATCH_SIZE,
    STATE,
    Descriptor,
    name_word,
)
from stepvisor.conformance.pattern import Instruction, Registers
from stepvisor.conformance.probing import How, Probed, places_of
from stepvisor.conformance.suite import Plan, names, run_suite
from stepvisor.conformance.target import ProbeCounts, Trap, Way
from stepvisor.errors import InputError, SetupError

GROUPS = ("integer", "memory", "scalable", "tags", "vector")
CONDITIONS = ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"]
EVERYTHING = ~Feature(0)
GUEST = Descriptor(
    mailbox=0x4803_0000,
    scratch=0x4802_0000,
    code=0x4801_0000,
    start=0x4800_2000,
    stop=0x4800_2100,
    outcomes=0x4804_0000,
    outcome_stride=0x2000,
    call_start=0x4800_2200,
    call_stop=0x4800_2240,
)


def families() -> list[tuple[str, Instruction]]:
    """Every family of encodings, with the group it is listed in."""
    found = []
    for group in GROUPS:
        module = importlib.import_module(f"stepvisor.conformance.instructions.{group}")
        found += [(group, i) for name in module.__all__ for i in getattr(module, name)]
    return found


def make(case_class: CaseClass, seed: int, place: int | None = None) -> np.ndarray:
    case = np.zeros(1, CASE)
    draft = Draft(Random(f"{case_class.name}/{seed}"), GUEST, EVERYTHING, place)
    case_class.build(draft)
    draft.store(case[0])
    return case


def objdump(words: list[int], directory: Path) -> list[tuple[str, str]]:
    """Mnemonic and the whole text of each word, by binutils."""
    path = directory / "words.bin"
    path.write_bytes(struct.pack(f"<{len(words)}I", *words))
    command = ["aarch64-linux-gnu-objdump", "-D", "-b", "binary", "-m", "aarch64"]
    done = subprocess.run(
        [*command, "-M", "no-aliases", str(path)], capture_output=True, text=True, check=True
    )
    lines = re.findall(r"^ *[0-9a-f]+:\t[0-9a-f]{8} \t(\S+)(.*)$", done.stdout, re.MULTILINE)
    assert len(lines) == len(words)
    return lines


@pytest.mark.parametrize("instruction_set", [InstructionSet.A32, InstructionSet.T32])
def test_what_is_drawn_for_aarch32(instruction_set: InstructionSet) -> None:
    """By capstone: the binutils that are installed know A64 alone."""
    random = Random(1)
    module = importlib.import_module(
        f"stepvisor.conformance.instructions.{instruction_set.name.lower()}"
    )
    wrong = []
    for family in (f for name in module.__all__ for f in getattr(module, name)):
        names = {f"{name}{s}" for name in family.mnemonics.split() for s in ("", "s")}
        names |= {f"{name}{c}" for name in names for c in CONDITIONS}
        for _ in range(300):
            word = family.draw(random, Registers())
            text = disassemble(word, 0, instruction_set)
            if text.split()[0].removesuffix(".w") not in names:
                wrong.append(f"{word:08x} is {text}, not one of: {family.mnemonics}")
    assert wrong == []


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_drawn_is_what_a_disassembler_sees(group: str, tmp_path: Path) -> None:
    random = Random(group)
    drawn = [
        (family, family.draw(random, Registers.choose(random, 4, 2)))
        for name, family in families()
        if name == group
        for _ in range(200)
    ]

    seen = objdump([word for _, word in drawn], tmp_path)

    wrong = [
        f"{word:08x} is {mnemonic}{rest}, not one of: {family.mnemonics}"
        for (family, word), (mnemonic, rest) in zip(drawn, seen, strict=True)
        if mnemonic not in family.mnemonics.split() or "undefined" in rest
    ]
    assert wrong == []


def test_pointers_are_written_by_write_back_only() -> None:
    random = Random(1)
    for _ in range(200):
        registers = Registers.choose(random, 4, 2)
        kept = {*registers.pointers, *registers.indexes}
        family = Instruction("add", "1001 0001 00 iiiiiiiiiiii nnnnn ddddd")
        assert family.draw(random, registers) & 31 not in kept
        assert len(kept) == 6
        assert 31 in registers.pointers


def test_a_family_must_have_32_bits() -> None:
    with pytest.raises(ValueError, match="31 bits"):
        Instruction("add", "1001 0001 00 iiiiiiiiiiii nnnnn dddd")


def test_a_family_that_cannot_be_drawn_says_so() -> None:
    family = Instruction("never", "i" * 32, lambda _: False)
    with pytest.raises(ValueError, match="never"):
        family.draw(Random(1), Registers())


def test_split_fields_are_put_together_from_the_top() -> None:
    family = Instruction("adr", "oii 10000 iiiiiiiiiiiiiiiiiii ddddd")
    word = family.encode({"o": 0, "i": 0b10_1000000000000000001, "d": 3})
    assert word == 0b0_10_10000_1000000000000000001_00011
    assert family.mask == 0b0_00_11111_0000000000000000000_00000


@pytest.mark.parametrize("case_class", CLASSES, ids=lambda c: c.name)
def test_a_seed_makes_the_same_case_again(case_class: CaseClass) -> None:
    first = [make(case_class, seed).tobytes() for seed in range(20)]
    again = [make(case_class, seed).tobytes() for seed in range(20)]

    assert first == again
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("case_class", CLASSES, ids=lambda c: c.name)
def test_every_case_ends_with_an_exception(case_class: CaseClass) -> None:
    for seed in range(50):
        (case,) = make(case_class, seed)
        count = int(case["count"])
        *_, (_, last) = instructions(case)
        assert last == EXITS[set_of(int(case["start"]["pstate"]))]
        assert 1 <= int(case["offset"]) // 4 <= 2048 - count


@pytest.mark.parametrize("case_class", CLASSES, ids=lambda c: c.name)
def test_cases_of_a_batch_are_in_places_of_their_own(case_class: CaseClass) -> None:
    for place in (0, 1, BATCH // 2, BATCH - 1):
        (case,) = make(case_class, place, place)
        start = BATCH_OFFSET + place * BATCH_STRIDE
        assert start <= case["offset"]
        assert case["offset"] + 4 * case["count"] <= start + BATCH_STRIDE


def one_case(words: list[int], *, user: bool = False, entry: int = 0) -> np.void:
    draft = Draft(Random(1), GUEST, EVERYTHING, place=3)
    draft.at_el0(float(user))
    draft.add(*words)
    draft.entry = entry
    case = np.zeros(1, CASE)
    draft.store(case[0])
    return case[0]


def test_every_instruction_of_a_case_is_probed() -> None:
    case = one_case([0xD503_201F, 0xD65F_03C0], entry=1)

    places = list(places_of(case, GUEST.code, Trap.CALL))

    first = GUEST.code + int(case["offset"])
    assert [p.word for p in places] == [0xD503_201F, 0xD65F_03C0, EXIT]
    assert [p.address for p in places] == [first, first + 4, first + 8]
    assert [p.virtual for p in places] == [p.address for p in places]
    assert int(case["start"]["pc"]) == first + 4


def test_user_code_is_probed_by_breakpoints_alone() -> None:
    case = one_case([0xD503_201F], user=True)

    assert list(places_of(case, GUEST.code, Trap.CALL)) == []
    places = list(places_of(case, GUEST.code, Trap.BREAKPOINT))
    assert [p.virtual - p.address for p in places] == [0x8000_0000] * 2


def test_an_exclusive_sequence_is_probed_like_all_else() -> None:
    ldxr, stxr, cbnz = 0xC85F_7C01, 0xC802_7C01, 0x35FF_FFC2
    case = one_case([0xD503_201F, ldxr, 0xD503_201F, stxr, cbnz])

    places = list(places_of(case, GUEST.code, Trap.CALL))

    assert [p.word for p in places] == [0xD503_201F, ldxr, 0xD503_201F, stxr, cbnz, EXIT]


@pytest.mark.parametrize(
    ("performed", "stepped", "wrong", "reason"),
    [
        (5, 7, 0, None),
        (9, 3, 0, None),
        (5, 7, 1, "astray"),
        (5, 6, 0, "12 hits, but 5 displaced instructions were emulated and 6 stepped"),
        (4, 8, 0, "4 instructions were emulated, not 5 to 9"),
        (10, 2, 0, "10 instructions were emulated, not 5 to 9"),
    ],
)
def test_hits_and_what_became_of_them_agree(
    performed: int, stepped: int, wrong: int, reason: str | None
) -> None:
    probed = Probed(
        how=How.FREELY,
        results=np.zeros(3, RESULT),
        cases=np.array([0, 0, 2, 2]),
        ways=[Way.PERFORMED, Way.STEPPED, Way.DEPENDS, Way.PERFORMED],
        counts=ProbeCounts(np.array([2, 3, 4, 3]), performed, stepped, wrong),
        steps=0,
    )

    said = probed.wrong()

    assert said is None if reason is None else reason in str(said)
    assert probed.hits_of_cases().tolist() == [5, 0, 7]
    assert probed.is_probed().tolist() == [True, False, True]


def test_whoever_steps_sees_no_emulation() -> None:
    counts = ProbeCounts(np.array([2, 3]), performed=1, stepped=4, wrong=0)
    probed = Probed(
        How.STEPPED, np.zeros(1, RESULT), np.array([0, 0]), [Way.PERFORMED] * 2, counts, steps=5
    )

    assert probed.wrong() == "1 instructions were emulated, not 0 to 0"


def test_names_are_unique() -> None:
    assert len(set(names())) == len(names())


def test_words_of_an_outcome_have_names() -> None:
    memory = STATE.itemsize // 8
    assert name_word(0) == "x0"
    assert name_word(31) == "sp_el1"
    assert name_word(memory - 1) == "v31.d[1]"
    assert name_word(memory + 2) == "scratch memory + 0x10"
    assert name_word(memory + SCRATCH_SIZE // 8 + 3) == "debugger's log, entry 1, esr"
    assert name_word(memory + SCRATCH_SIZE // 8 + 128) == "DBGBVR0_EL1"


def test_features_come_from_the_identification_registers() -> None:
    none = [0] * 11
    none[4] = 0xFF_0000  # no floating point
    assert detect(none) == Feature(0)
    some = list(none)
    some[1] = 2 << 20  # ID_AA64ISAR0_EL1.Atomic
    some[4] = 1 << 32 | 0x11_0000  # ID_AA64PFR0_EL1.SVE, half precision
    assert detect(some) == Feature.LSE | Feature.SVE | Feature.FP16


def test_a_failure_says_all_that_is_needed_to_see_it_again() -> None:
    failure = Failure(
        cpu="max",
        class_name="data-register",
        what="x3 is 0x1 stepped, 0x2 natively",
        seed=77,
        words=(0x8B01_0002,),
        address=4096,
    )

    text = "\n".join(failure.lines())

    for part in ("data-register", "seed 77", "8b010002", "add x2, x0, x1", "x3", "0x1000"):
        assert part in text
    assert "stepvisor conformance --cpu max --class data-register --seed 77 --count 1" in text


def test_what_needs_others_before_it_is_repeated_with_them() -> None:
    failure = Failure("max", "data-register", "x3 is 0x1", seed=77, since=1, count=600)

    assert "seed 77" in failure.lines()[0]
    assert failure.replay.endswith("--class data-register --seed 1 --count 600")


def test_an_image_of_another_build_is_refused() -> None:
    with pytest.raises(SetupError, match="another build"):
        Descriptor.find(b"\0" * 4096)
    with pytest.raises(SetupError, match="another build"):
        Descriptor.find(b"\0" * 64 + b"SVCONFORMANCE001" + b"\1" * 256)


def test_an_unknown_class_is_an_input_error() -> None:
    with pytest.raises(InputError, match="'nonsense'"):
        run_suite(Plan(cpu="max", seed=1, only=frozenset({"nonsense"}), image=b""))


@pytest.mark.parametrize("wrong", [["--class", "nonsense"], ["--count", "0"], ["--count", "-3"]])
def test_a_mistake_is_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", *wrong]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert wrong[1] in said.err


def test_the_command_lists_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--list"]) == 0
    assert capsys.readouterr().out.split() == names()
