"""What is planted for a probe."""

import pytest

from stepvisor.errors import InputError, ProbeError
from stepvisor.monitor.interface import Plan, ProbeRequest, Trap
from stepvisor.probe.trap import is_landing_pad, parse_trap, planted

KERNEL = 0xFFFF_8000_0801_0000
USER = 0x0000_AAAA_C000_0000
BTI_C, PACIASP, NOP = 0xD503_245F, 0xD503_233F, 0xD503_201F


def trap_of(va: int, word: int, *, guarded: bool = False, forced: Trap | None = None) -> Trap:
    request = ProbeRequest(
        slot=1, va=va, ipa=0x4800_0000, word=word, plan=Plan.STEP_LINEAR, label="here"
    )
    (found,) = planted([request], lambda _: guarded, forced)
    return found.trap


def test_smc_in_kernel_code() -> None:
    assert trap_of(KERNEL, NOP) is Trap.SMC
    assert trap_of(KERNEL, NOP, guarded=True) is Trap.SMC
    assert trap_of(KERNEL, BTI_C) is Trap.SMC


@pytest.mark.parametrize("word", [BTI_C, PACIASP])
def test_brk_on_a_landing_pad_of_a_guarded_page(word: int) -> None:
    assert is_landing_pad(word)
    assert trap_of(KERNEL, word, guarded=True) is Trap.BRK


@pytest.mark.parametrize("forced", [Trap.SMC, Trap.BRK])
def test_the_user_insists(forced: Trap) -> None:
    assert trap_of(KERNEL, BTI_C, guarded=True, forced=forced) is forced
    assert trap_of(KERNEL, NOP, forced=forced) is forced


def test_user_code_takes_brk() -> None:
    assert trap_of(USER, NOP) is Trap.BRK
    assert trap_of(USER, NOP, forced=Trap.BRK) is Trap.BRK
    with pytest.raises(ProbeError, match=r"no probe on here \(0xaaaac0000000\): SMC is undefined"):
        trap_of(USER, NOP, forced=Trap.SMC)


def test_what_can_be_insisted_on() -> None:
    assert parse_trap("brk") is Trap.BRK
    assert parse_trap("SMC") is Trap.SMC
    assert parse_trap(None) is None
    for name in ("hvc", "bkpt_t32"):
        with pytest.raises(InputError, match="cannot be planted"):
            parse_trap(name)
    with pytest.raises(InputError, match=r"'hvc' cannot be planted; choose 'smc', 'brk'"):
        parse_trap("hvc")
