"""What the decoder makes of instructions, against what objdump reads in them."""

from random import Random

import pytest
from assembly import OBJDUMP, differences

from stepvisor.errors import ProbeError
from stepvisor.monitor.emulation import Emulation, Operand, Operation
from stepvisor.monitor.interface import Plan
from stepvisor.probe import emulate_control, emulate_immediate, emulate_register
from stepvisor.probe.emulate import decode
from stepvisor.probe.emulate_immediate import bit_mask
from stepvisor.probe.plan import Method, plan_for

needs_objdump = pytest.mark.skipif(OBJDUMP is None, reason="needs aarch64-linux-gnu-objdump")

_TABLES = (emulate_control.DECODERS, emulate_immediate.DECODERS, emulate_register.DECODERS)
_DECODERS = [entry for table in _TABLES for entry in table]


@needs_objdump
def test_words_of_every_table_entry() -> None:
    """Reserved encodings among them, which objdump prints as numbers."""
    random = Random(1)
    words = [
        value | (random.getrandbits(32) & ~mask)
        for mask, value, _ in _DECODERS
        for _ in range(2000)
    ]

    assert differences(words) == []
    assert {e.operation for word in words if (e := decode(word))} == set(Operation)


@needs_objdump
def test_any_word() -> None:
    """And the neighbours of every table entry: one fixed bit is another."""
    random = Random(2)
    words = [random.getrandbits(32) for _ in range(40_000)]
    for mask, value, _ in _DECODERS:
        for bit in range(32):
            if mask >> bit & 1:
                words += [(value ^ 1 << bit) | (random.getrandbits(32) & ~mask) for _ in range(40)]

    assert differences(words) == []


def test_every_entry_of_the_tables_is_reached_and_matches_its_mask() -> None:
    for mask, value, decoder in _DECODERS:
        assert value & ~mask == 0
        first = next(entry for entry in _DECODERS if value & entry[0] == entry[1])
        assert first[2] is decoder


def _is_repeated_run(mask: int) -> bool:
    """Whether the bits of one period change twice, read in a circle."""
    for size in (2, 4, 8, 16, 32, 64):
        element = mask & ((1 << size) - 1)
        if mask == sum(element << at for at in range(0, 64, size)):
            turned = element >> 1 | (element & 1) << (size - 1)
            return (element ^ turned).bit_count() == 2
    return False


def test_bit_masks() -> None:
    """Every one there is: a run of ones, turned, repeated (Arm ARM, DecodeBitMasks)."""
    found = [bit_mask(64, n, r, s) for n in (0, 1) for r in range(64) for s in range(64)]
    masks = {mask for mask in found if mask is not None}

    assert len(masks) == 5334
    assert all(_is_repeated_run(mask) for mask in masks)
    assert bit_mask(32, 1, 0, 0) is None


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (0x00000000, "undefined"),
        (0xD4000001, "exception"),
        (0xD503205F, "hint"),
        (0xD50323BF, "hint"),
        (0xD5033BBF, "barrier"),
        (0xD5034FDF, "PSTATE"),
        (0xD53BD045, "system register"),
        (0xD65F0BFF, "authenticated"),
        (0x1E612800, "floating point"),
        (0x3DC00020, "vector register"),
        (0xC85F7C41, "exclusive"),
        (0xA9BF7BFD, "pair"),
        (0x58000040, "beside the code"),
        (0xF8210041, "atomic"),
        (0xF8616841, "register as offset"),
        (0xF8408C41, "moves its base"),
        (0xF8408441, "moves its base"),
        (0xF8408841, "rights of user code"),
        (0xF9000041, "a store"),
        (0xF8000041, "a store"),
        (0xF94003E1, "from the stack"),
        (0x72A00000, None),
        (0x32A00000, "not allocated"),
    ],
)
def test_reasons_to_step(word: int, reason: str | None) -> None:
    choice = plan_for(word)

    if reason is None:
        assert choice.method is Method.EMULATE
        return
    assert choice.method is Method.STEP
    assert reason in choice.reason
    with pytest.raises(ProbeError, match=reason):
        plan_for(word, Method.EMULATE)


def test_a_reason_to_emulate_and_a_wish_to_step() -> None:
    mov_x9_x30 = 0xAA1E03E9
    choice, stepped = plan_for(mov_x9_x30), plan_for(mov_x9_x30, Method.STEP)

    assert choice.plan is Plan.EMULATE
    assert choice.emulation == Emulation(Operation.ORR, Operand.WIDE, d=9, n=31, m=30)
    assert "general registers" in choice.reason
    assert (stepped.plan, stepped.emulation) == (Plan.STEP_LINEAR, None)
