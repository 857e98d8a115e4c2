"""What a guest does is never fatal to the monitor, and it gets what the bare machine gives."""

import functools
import re
from dataclasses import dataclass

import pytest
from bare import CPUS, BareGuest, run_native

from stepvisor._gen import wire

pytestmark = pytest.mark.system

_SLOT = 7

_CASE = re.compile(
    r"(?P<group>[\w-]+)\.(?P<name>[\w-]+) "
    r"(?:value 0x\w+|vector 0x(?P<vector>\w+) esr 0x(?P<esr>\w+))"
)

_HIDDEN_GROUPS = re.compile(r"monitor-.*|el0-monitor|fw-cfg")
"""Memory and devices that are there on the bare machine, and that no guest may see."""

_WITHOUT_ACCESS = {"stxr", "dc_civac", "dc_ivac", "prfm"}
"""No reservation, nothing cached, a hint: no abort need come of them."""

_EXTERNAL_ABORT = 0x10
_ABORT_CLASSES = {0x20, 0x21, 0x24, 0x25}

_GIC_GROUPS = {"gicd-iidr", "gicr-priority"}

_ARCHITECTED = {
    "gicd-iidr": {"ldr_w", "ldrsw", "ldar", "str_w", "stlr", "ldr_xzr"},
    "gicr-priority": {
        *("ldr_w", "ldrb", "ldrsb", "ldrsw", "ldar", "ldr_xzr"),
        *("str_w", "strb", "stlr"),
    },
}
"""Accesses of a size that the register has (GIC architecture, "GICv3 register sizes")."""

_UNALIGNED = {"ldr_q", "str_q"}
"""16 bytes, not aligned to as many, of Device memory: an Alignment fault before all others
(Arm ARM, "Unaligned data access"), which QEMU 7.2 does not know."""
_ALIGNMENT_FAULT = 0x21

_MONITORS_OWN = {
    "silence.ipriorityr-byte-25": "the guest sees no priority of the monitor's interrupts",
    "silence.ipriorityr-byte-26": "likewise",
    "silence.ipriorityr-unaligned": "an unaligned access to a device is refused, as hardware does",
}


@dataclass(frozen=True)
class _Case:
    text: str
    group: str
    name: str
    vector: int
    esr: int
    reflected: int

    @property
    def full_name(self) -> str:
        return f"{self.group}.{self.name}"

    @property
    def is_external_abort(self) -> bool:
        return (
            self.esr >> 26 in _ABORT_CLASSES
            and self.esr & 0x3F == _EXTERNAL_ABORT
            and self.vector == (0x400 if self.group.startswith("el0") else 0x200)
        )


def _case(text: str, reflected: int) -> _Case:
    match = _CASE.fullmatch(text)
    assert match, text
    vector, esr = int(match["vector"] or "0", 16), int(match["esr"] or "0", 16)
    return _Case(text, match["group"], match["name"], vector, esr, reflected)


@functools.cache
def _monitored(cpu: str, with_mmu: int) -> tuple[_Case, ...]:
    """Every case, each followed by a sign of life of the monitor."""
    cases = []
    reflected = 0
    with BareGuest("hostile", cpu=cpu, variables={"with_mmu": with_mmu}) as guest:
        while not (line := guest.wait("CASE: .*|END: .*")[0]).startswith(b"END"):
            guest.ready("case")
            guest.monitor._mailbox.command(wire.Command.PING)
            now = guest.total("reflected")
            text = line.decode().strip().removeprefix("CASE: ")
            cases.append(_case(text, now - reflected))
            reflected = now
            guest.go()
        guest.finish()
    return tuple(cases)


@functools.cache
def _native(cpu: str, with_mmu: int) -> dict[str, str]:
    report = run_native("hostile", cpu=cpu, variables={"with_mmu": with_mmu})
    return {line.split()[0]: line for line in report.lines("CASE: ")}


_MACHINES = [
    *(pytest.param(cpu, 1, id=cpu) for cpu in (CPUS[0], CPUS[-1])),
    pytest.param(CPUS[0], 0, id=f"{CPUS[0]}-mmu-off"),
]


@pytest.mark.parametrize(("cpu", "with_mmu"), _MACHINES)
def test_what_is_hidden_aborts_and_is_counted(cpu: str, with_mmu: int) -> None:
    hidden = [
        case
        for case in _monitored(cpu, with_mmu)
        if _HIDDEN_GROUPS.fullmatch(case.group) and case.name not in _WITHOUT_ACCESS
    ]

    assert len(hidden) > 100
    native = _native(cpu, with_mmu)
    for case in hidden:
        if with_mmu and case.full_name == "fw-cfg.execute":
            assert case.text == native[case.full_name]  # stage 1 forbids it before
            continue
        assert case.is_external_abort, case
        assert case.reflected == 1, case


@pytest.mark.parametrize(("cpu", "with_mmu"), _MACHINES)
def test_all_else_is_as_on_the_bare_machine(cpu: str, with_mmu: int) -> None:
    native = _native(cpu, with_mmu)
    cases = _monitored(cpu, with_mmu)
    compared = [
        case
        for case in cases
        if not _HIDDEN_GROUPS.fullmatch(case.group)
        and case.group not in _GIC_GROUPS
        and case.full_name not in _MONITORS_OWN
    ]

    assert [case.full_name for case in cases] == list(native)
    assert {c.full_name: c.text for c in compared} == {
        c.full_name: native[c.full_name] for c in compared
    }


def _gic_cases() -> list[str]:
    return [f"{group}.{name}" for group, forms in _ARCHITECTED.items() for name in sorted(forms)]


@pytest.mark.parametrize("full_name", _gic_cases())
def test_trapped_gic_register_reads_and_writes_as_the_real_one(full_name: str) -> None:
    cases = {case.full_name: case for case in _monitored(CPUS[0], 1)}

    assert cases[full_name].text == _native(CPUS[0], 1)[full_name]


def test_trapped_gic_access_is_done_or_refused() -> None:
    """Forms that ESR_EL2 does not describe end in an external abort, none is dropped silently."""
    for case in _monitored(CPUS[0], 1):
        if case.group in _GIC_GROUPS and case.vector:
            if case.name in _UNALIGNED and case.esr & 0x3F == _ALIGNMENT_FAULT:
                continue
            assert case.is_external_abort, case
            assert case.reflected == 1, case


def test_smc_with_the_number_of_an_armed_slot_is_the_guests() -> None:
    with BareGuest("hostile", variables={"slot_armed": 1, "only_instructions": 1}) as guest:
        guest.arm("armed_target", first_slot=_SLOT)
        while not (line := guest.wait("CASE: .*|END: .*")[0]).startswith(b"END"):
            guest.ready("case")
            if b"instruction.smc_7" in line:
                assert guest.hits_of(_SLOT) == 0
            guest.go()
        report = guest.finish()

        native = _native(CPUS[0], 1)
        cases = [line for line in report.lines("CASE: ") if line.startswith("instruction.")]
        assert cases == [native[case.split()[0]] for case in cases]
        assert report.values["armed-target"] == 2
        assert guest.hits_of(_SLOT) == 1
        guest.assert_clean()
