"""System register values that explain themselves.

Bits and names are those of `spec/arch.toml`, which follows the Arm Architecture Reference Manual.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from stepvisor._gen.arch import REGISTERS, SYSTEM_REGISTERS, Ec, Field, Fsc, SpsrElxM

__all__ = ("Esr", "FieldValue", "Spsr", "decode", "explain")

_MASK64 = (1 << 64) - 1
_ABORTS: dict[int, str] = {
    Ec.IABT_LOWER: "ISS_IABT",
    Ec.IABT_SAME: "ISS_IABT",
    Ec.DABT_LOWER: "ISS_DABT",
    Ec.DABT_SAME: "ISS_DABT",
}
_SYNDROMES: dict[int, str] = {
    **_ABORTS,
    Ec.WFX: "ISS_WFX",
    Ec.SVC64: "ISS_CALL",
    Ec.HVC64: "ISS_CALL",
    Ec.SMC64: "ISS_CALL",
    Ec.BRK64: "ISS_CALL",
    Ec.BKPT32: "ISS_CALL",
    Ec.CP14_32: "ISS_CP",
    Ec.CP15_32: "ISS_CP",
    Ec.CP14_64: "ISS_CP64",
    Ec.CP15_64: "ISS_CP64",
    Ec.SYSREG: "ISS_SYSREG",
    Ec.ERET: "ISS_ERET",
    Ec.STEP_LOWER: "ISS_STEP",
    Ec.STEP_SAME: "ISS_STEP",
}
"""Exception class -> form of its syndrome."""


@dataclass(frozen=True)
class FieldValue:
    """One field of a register value, shifted down; `label` names it where the manual does."""

    name: str
    value: int
    label: str | None
    doc: str

    def __str__(self) -> str:
        return f"{self.name}={self.label or f'{self.value:#x}'}"


def decode(register: str, value: int) -> tuple[FieldValue, ...]:
    """The fields of `value`, from the top. Raises KeyError for a register that is not declared."""
    return tuple(_field_value(field, value) for field in REGISTERS[register].fields)


def explain(register: str, value: int) -> str:
    """The fields of `value` that are not zero, on one line: `HCR_EL2 0x80000001: RW=0x1 VM=0x1`."""
    shown = " ".join(str(field) for field in decode(register, value) if field.value or field.label)
    return f"{register} {value:#x}: {shown or 'all zero'}"


def _field_value(field: Field, value: int) -> FieldValue:
    bits = (value & _MASK64) >> field.low & (1 << field.high - field.low + 1) - 1
    return FieldValue(field.name, bits, _label(field.values, bits), field.doc)


def _label(values: type[IntEnum] | None, bits: int) -> str | None:
    if values is None or bits not in set(values):
        return None
    return values(bits).name


@dataclass(frozen=True)
class Esr:
    """An exception syndrome (ESR_ELx)."""

    value: int
    ec: int
    """Exception class; an `Ec` where the class is allocated."""
    il: bool
    """The instruction is 32 bits long."""
    iss: int
    """Syndrome, 25 bits; its form depends on the class."""
    iss2: int
    """More syndrome, 24 bits, 0 on older cores."""

    @classmethod
    def from_int(cls, value: int) -> "Esr":
        """Take an ESR_ELx value apart."""
        parts = {field.name: field.value for field in decode("ESR_ELx", value)}
        ec = parts["EC"]
        known = Ec(ec) if ec in set(Ec) else ec
        return cls(value & _MASK64, known, bool(parts["IL"]), parts["ISS"], parts["ISS2"])

    @property
    def fault_status(self) -> int | None:
        """Why an abort happened, an `Fsc` where it is allocated; None for other classes."""
        if self.ec not in _ABORTS:
            return None
        status = self.iss & 0x3F
        return Fsc(status) if status in set(Fsc) else status

    @property
    def system_register(self) -> str | None:
        """Register of a trapped MSR or MRS: its name, or S<op0>_<op1>_C<n>_C<m>_<op2>."""
        if self.ec != Ec.SYSREG:
            return None
        part = {field.name: field.value for field in decode("ISS_SYSREG", self.iss)}
        key = (part["OP0"], part["OP1"], part["CRN"], part["CRM"], part["OP2"])
        return SYSTEM_REGISTERS.get(key, "S{}_{}_C{}_C{}_{}".format(*key))

    def explain(self) -> str:
        """One line: the class, then what its syndrome says."""
        name = self.ec.name if isinstance(self.ec, Ec) else f"EC {self.ec:#04x}"
        return " ".join([name, *self._details()])

    def _details(self) -> Iterator[str]:
        form = _SYNDROMES.get(self.ec)
        if form is None:
            yield f"ISS={self.iss:#x}"
            return
        if register := self.system_register:
            yield register
        for field in decode(form, self.iss):
            if field.value and not (register and field.name[:2] in {"OP", "CR"}):
                yield str(field)


@dataclass(frozen=True)
class Spsr:
    """A saved program status (SPSR_ELx) of AArch64 state."""

    value: int
    mode: int
    """Exception level and stack pointer; an `SpsrElxM` where the value is allocated."""
    masked: str
    """Which of D, A, I and F are set, in that order."""
    step: bool
    """PSTATE.SS: one instruction runs before the step exception."""

    @classmethod
    def from_int(cls, value: int) -> "Spsr":
        """Take an SPSR_ELx value apart."""
        parts = {field.name: field.value for field in decode("SPSR_ELx", value)}
        mode = parts["M"]
        known = SpsrElxM(mode) if mode in set(SpsrElxM) else mode
        masked = "".join(name for name in "DAIF" if parts[name])
        return cls(value & _MASK64, known, masked, bool(parts["SS"]))

    @property
    def exception_level(self) -> int:
        """0 to 3."""
        return self.mode >> 2
