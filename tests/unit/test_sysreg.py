"""Values are taken apart as the manual lays them out."""

import pytest

from stepvisor._gen.arch import Ec, Fsc, SpsrElxM
from stepvisor.arch.sysreg import Esr, Spsr, decode, explain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0x5E000123, "SMC64 IMM16=0x123"),
        (0x5A000000, "HVC64"),
        (0x62240024, "SYSREG MDSCR_EL1 RT=0x1"),
        (0x6231D3A1, "SYSREG S3_7_C4_C0_0 RT=0x1d READ=0x1"),
        (0x96000147, "DABT_SAME CM=0x1 WnR=0x1 DFSC=TRANSLATION_L3"),
        (0x8200000F, "IABT_LOWER IFSC=PERMISSION_L3"),
        (0xCB000062, "STEP_LOWER ISV=0x1 EX=0x1 IFSC=DEBUG"),
        (0x06000001, "WFX TI=WFE"),
        (0xFC000000, "EC 0x3f ISS=0x0"),
    ],
)
def test_a_syndrome_explains_itself(value: int, text: str) -> None:
    assert Esr.from_int(value).explain() == text


def test_more_syndrome_leaves_the_class_alone() -> None:
    esr = Esr.from_int(0x00ABCDEF_92000061)

    assert (esr.ec, esr.il, esr.iss2) == (Ec.DABT_LOWER, True, 0xABCDEF)
    assert esr.fault_status == Fsc.ALIGNMENT


def test_only_aborts_have_a_fault_status_and_only_traps_a_register() -> None:
    smc = Esr.from_int(0x5E000123)

    assert smc.fault_status is None
    assert smc.system_register is None


def test_an_unallocated_fault_status_is_a_number() -> None:
    assert Esr.from_int(0x9200003F).fault_status == 0x3F


def test_a_program_status() -> None:
    spsr = Spsr.from_int(0x6020_03C5)

    assert (spsr.mode, spsr.exception_level) == (SpsrElxM.EL1h, 1)
    assert (spsr.masked, spsr.step) == ("DAIF", True)


def test_only_set_fields_are_explained() -> None:
    assert explain("HCR_EL2", 0x80080001) == "HCR_EL2 0x80080001: RW=0x1 TSC=0x1 VM=0x1"
    assert explain("HCR_EL2", 0) == "HCR_EL2 0x0: all zero"


def test_every_field_is_decoded() -> None:
    fields = {field.name: field.value for field in decode("ICH_LR_EL2", 0x50A0_001B_0000_002A)}

    assert fields == {
        "State": 1,
        "HW": 0,
        "Group": 1,
        "NMI": 0,
        "Priority": 0xA0,
        "pINTID": 0x1B,
        "vINTID": 0x2A,
    }
