"""System registers that a guest may read, and write, with results that depend on nothing else.

Left out: counters, what the guest of the suite runs on (TPIDR_EL1, VBAR_EL1, translation), and
keys.
"""

from dataclasses import dataclass

from stepvisor.conformance.features import ALWAYS, Feature

__all__ = ("DEBUG", "READ_ONLY", "WRITABLE", "Register", "mrs", "msr")


@dataclass(frozen=True, slots=True)
class Register:
    """A register by its name in the manual and its op0, op1, CRn, CRm, op2."""

    name: str
    place: tuple[int, int, int, int, int]
    mask: int = 0
    """Bits that may be written."""
    needs: Feature = ALWAYS

    @property
    def encoded(self) -> int:
        """Its bits in MSR and MRS."""
        op0, op1, crn, crm, op2 = self.place
        return op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5


def mrs(register: Register, target: int) -> int:
    """MRS to general register `target`."""
    return 0xD520_0000 | register.encoded | target


def msr(register: Register, source: int) -> int:
    """MSR from general register `source`."""
    return 0xD500_0000 | register.encoded | source


_ALL = (1 << 64) - 1

WRITABLE = (
    Register("NZCV", (3, 3, 4, 2, 0), 0xF000_0000),
    Register("DAIF", (3, 3, 4, 2, 1), 0x3C0),
    Register("FPCR", (3, 3, 4, 4, 0), 0x07C0_0000),
    Register("FPSR", (3, 3, 4, 4, 1), 0x0800_009F),
    Register("TPIDR_EL0", (3, 3, 13, 0, 2), _ALL),
    Register("CONTEXTIDR_EL1", (3, 0, 13, 0, 1), 0xFFFF_FFFF),
    Register("ESR_EL1", (3, 0, 5, 2, 0), 0xFFFF_FFFF),
    Register("FAR_EL1", (3, 0, 6, 0, 0), _ALL),
    Register("ELR_EL1", (3, 0, 4, 0, 1), _ALL),
    Register("SPSR_EL1", (3, 0, 4, 0, 0), 0xF020_03CF),
    Register("SP_EL0", (3, 0, 4, 1, 0), _ALL),
    Register("PAR_EL1", (3, 0, 7, 4, 0), 0xFFFF_FFFF_F000),
    Register("AFSR0_EL1", (3, 0, 5, 1, 0), 0),
    Register("CSSELR_EL1", (3, 2, 0, 0, 0), 1),
    Register("PAN", (3, 0, 4, 2, 3), 1 << 22, Feature.PAN),
    Register("UAO", (3, 0, 4, 2, 4), 1 << 23, Feature.UAO),
    Register("DIT", (3, 3, 4, 2, 5), 1 << 24, Feature.DIT),
    Register("SSBS", (3, 3, 4, 2, 6), 1 << 12, Feature.SSBS),
)

_IDENTIFICATION = tuple(
    Register(f"S3_0_C0_C{crm}_{op2}", (3, 0, 0, crm, op2))
    for crm in range(4, 8)
    for op2 in range(8)
)

READ_ONLY = (
    *_IDENTIFICATION,
    Register("MIDR_EL1", (3, 0, 0, 0, 0)),
    Register("MPIDR_EL1", (3, 0, 0, 0, 5)),
    Register("REVIDR_EL1", (3, 0, 0, 0, 6)),
    Register("CTR_EL0", (3, 3, 0, 0, 1)),
    Register("DCZID_EL0", (3, 3, 0, 0, 7)),
    Register("CLIDR_EL1", (3, 1, 0, 0, 1)),
    Register("CCSIDR_EL1", (3, 1, 0, 0, 0)),
    Register("CurrentEL", (3, 0, 4, 2, 2)),
    Register("SPSel", (3, 0, 4, 2, 0)),
    Register("VBAR_EL1", (3, 0, 12, 0, 0)),
    Register("SCTLR_EL1", (3, 0, 1, 0, 0)),
    Register("CPACR_EL1", (3, 0, 1, 0, 2)),
    Register("TCR_EL1", (3, 0, 2, 0, 2)),
    Register("TTBR0_EL1", (3, 0, 2, 0, 0)),
    Register("MAIR_EL1", (3, 0, 10, 2, 0)),
    Register("TPIDR_EL1", (3, 0, 13, 0, 4)),
    Register("CNTFRQ_EL0", (3, 3, 14, 0, 0)),
    Register("ISR_EL1", (3, 0, 12, 1, 0)),
    Register("ICC_PMR_EL1", (3, 0, 4, 6, 0)),
    Register("ICC_RPR_EL1", (3, 0, 12, 11, 3)),
    Register("ICC_HPPIR1_EL1", (3, 0, 12, 12, 2)),
    Register("ICC_BPR1_EL1", (3, 0, 12, 12, 3)),
    Register("ICC_CTLR_EL1", (3, 0, 12, 12, 4)),
    Register("ICC_SRE_EL1", (3, 0, 12, 12, 5)),
    Register("ICC_IGRPEN1_EL1", (3, 0, 12, 12, 7)),
    Register("MDSCR_EL1", (2, 0, 0, 2, 2)),
    Register("OSLSR_EL1", (2, 0, 1, 1, 4)),
)

_BREAKPOINTS, _WATCHPOINTS = 6, 4
_VALUE_MASK = 0x0000_FFFF_FFFF_FFFC
_CONTROL_MASK = 0x0000_21E6
"""Of DBGBCR: everything that a plain breakpoint needs but its enable bit."""

DEBUG = (
    *(Register(f"DBGBVR{n}_EL1", (2, 0, 0, n, 4), _VALUE_MASK) for n in range(_BREAKPOINTS)),
    *(Register(f"DBGBCR{n}_EL1", (2, 0, 0, n, 5), _CONTROL_MASK) for n in range(_BREAKPOINTS)),
    *(Register(f"DBGWVR{n}_EL1", (2, 0, 0, n, 6), _VALUE_MASK) for n in range(_WATCHPOINTS)),
    *(Register(f"DBGWCR{n}_EL1", (2, 0, 0, n, 7), 0x1FFE) for n in range(_WATCHPOINTS)),
    Register("MDSCR_EL1", (2, 0, 0, 2, 2), 0xB001),
    Register("MDCCINT_EL1", (2, 0, 0, 2, 0), 0),
    Register("OSECCR_EL1", (2, 0, 0, 6, 2), 0),
    Register("DBGCLAIMSET_EL1", (2, 0, 7, 8, 6), 0),
    Register("DBGCLAIMCLR_EL1", (2, 0, 7, 9, 6), 0),
)
