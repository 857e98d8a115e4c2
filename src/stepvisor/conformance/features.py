"""What a CPU can do, from its identification registers.

Fields by name: Arm Architecture Reference Manual, the registers ID_AA64ISAR0_EL1 and so on.
"""

import enum
from collections.abc import Sequence

__all__ = ("ALWAYS", "Feature", "detect")


class Feature(enum.Flag):
    """Extensions that classes and encodings may need."""

    CRC32 = enum.auto()
    LSE = enum.auto()
    LOR = enum.auto()
    RCPC = enum.auto()
    RCPC2 = enum.auto()
    FLAGM = enum.auto()
    PAUTH = enum.auto()
    BTI = enum.auto()
    FP16 = enum.auto()
    DOTPROD = enum.auto()
    AES = enum.auto()
    PMULL = enum.auto()
    SHA1 = enum.auto()
    SHA256 = enum.auto()
    RDM = enum.auto()
    SVE = enum.auto()
    MTE = enum.auto()
    PAN = enum.auto()
    UAO = enum.auto()
    DIT = enum.auto()
    SSBS = enum.auto()
    FRINT = enum.auto()
    FLAGM2 = enum.auto()
    PAN2 = enum.auto()
    DPB = enum.auto()
    SHA512 = enum.auto()
    SHA3 = enum.auto()
    SM3 = enum.auto()
    SM4 = enum.auto()
    FHM = enum.auto()
    JSCVT = enum.auto()
    FCMA = enum.auto()
    BF16 = enum.auto()
    I8MM = enum.auto()
    AARCH32 = enum.auto()
    """At EL0."""


ALWAYS = Feature(0)

# (register, low bit, at least, feature); registers in the order of the guest's describe_cpu.
_ISAR0, _ISAR1, _PFR0, _PFR1, _MMFR1, _MMFR2 = 1, 2, 4, 5, 7, 8
_FIELDS = (
    (_ISAR0, 4, 1, Feature.AES),
    (_ISAR0, 4, 2, Feature.PMULL),
    (_ISAR0, 8, 1, Feature.SHA1),
    (_ISAR0, 12, 1, Feature.SHA256),
    (_ISAR0, 12, 2, Feature.SHA512),
    (_ISAR0, 32, 1, Feature.SHA3),
    (_ISAR0, 36, 1, Feature.SM3),
    (_ISAR0, 40, 1, Feature.SM4),
    (_ISAR0, 48, 1, Feature.FHM),
    (_ISAR0, 52, 2, Feature.FLAGM2),
    (_ISAR0, 16, 1, Feature.CRC32),
    (_ISAR0, 20, 2, Feature.LSE),
    (_ISAR0, 28, 1, Feature.RDM),
    (_ISAR0, 44, 1, Feature.DOTPROD),
    (_ISAR0, 52, 1, Feature.FLAGM),
    (_ISAR1, 0, 1, Feature.DPB),
    (_ISAR1, 12, 1, Feature.JSCVT),
    (_ISAR1, 16, 1, Feature.FCMA),
    (_ISAR1, 44, 1, Feature.BF16),
    (_ISAR1, 52, 1, Feature.I8MM),
    (_ISAR1, 4, 1, Feature.PAUTH),
    (_ISAR1, 8, 1, Feature.PAUTH),
    (_ISAR1, 20, 1, Feature.RCPC),
    (_ISAR1, 20, 2, Feature.RCPC2),
    (_ISAR1, 32, 1, Feature.FRINT),
    (_PFR0, 0, 2, Feature.AARCH32),
    (_PFR0, 32, 1, Feature.SVE),
    (_PFR0, 48, 1, Feature.DIT),
    (_PFR1, 0, 1, Feature.BTI),
    (_PFR1, 4, 2, Feature.SSBS),
    (_PFR1, 8, 2, Feature.MTE),
    (_MMFR1, 16, 1, Feature.LOR),
    (_MMFR1, 20, 1, Feature.PAN),
    (_MMFR1, 20, 2, Feature.PAN2),
    (_MMFR2, 4, 1, Feature.UAO),
)
_FP_ABSENT = 15


def detect(identification: Sequence[int]) -> Feature:
    """What the CPU with these registers has."""
    found = ALWAYS
    for register, low, least, feature in _FIELDS:
        if identification[register] >> low & 15 >= least:
            found |= feature
    if 1 <= identification[_PFR0] >> 16 & 15 < _FP_ABSENT:
        found |= Feature.FP16
    return found
