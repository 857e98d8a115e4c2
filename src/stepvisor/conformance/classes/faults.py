"""Accesses that fault, and accesses that somebody has to emulate."""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import memory
from stepvisor.conformance.layout import (
    ARENA,
    ARENA_DEVICE,
    ARENA_FAR,
    ARENA_FAR_CODE,
    ARENA_INVALID,
    ARENA_NO_ACCESS_FLAG,
    ARENA_READ_ONLY,
    ARENA_USER_READ_ONLY,
    FLAG_ALIGNED,
    PAGE,
    SCRATCH_SIZE,
    USER_ALIAS,
)

__all__ = ("FAULTS",)

_PAN = 1 << 22
_PAGES = (
    ARENA_READ_ONLY,
    ARENA_USER_READ_ONLY,
    ARENA_INVALID,
    ARENA_DEVICE,
    ARENA_NO_ACCESS_FLAG,
    ARENA_FAR,
    13,
)
_ACCESSES = (*memory.GENERAL, *memory.PAIR, *memory.VECTOR)
_BR, _BLR, _RET = 0xD61F_0000, 0xD63F_0000, 0xD65F_0000

_GICD, _GICR = 0x0800_0000, 0x080A_0000
_GICR_SGI = 0x1_0000
_GIC_READS = (_GICD, _GICD + 4, _GICD + 8, _GICR, _GICR + 8, _GICR + 0x14, _GICR + _GICR_SGI + 0x80)
_ISENABLER, _ICENABLER_SPARE = _GICR + _GICR_SGI + 0x100, _GICR + _GICR_SGI + 0x180
_LOAD_W, _STORE_W = 0xB940_0000, 0xB900_0000
_LOADS = {
    1: (0x3940_0000, 0x3980_0000, 0x39C0_0000),  # LDRB, LDRSB to 64 and to 32 bits
    4: (_LOAD_W, 0xB980_0000),  # LDR, LDRSW
    8: (0xF940_0000,),
}
"""By the size of a register's accesses."""
_STORE_B = 0x3900_0000
_GICR_PRIORITY, _GICR_TYPER = _GICR + _GICR_SGI + 0x400, _GICR + 8


def _data(draft: Draft) -> None:
    """One of the pointers is bad in one of many ways.

    An unaligned access to Device memory is an Alignment fault (Arm ARM, "Unaligned data access").
    QEMU 7.2 has none. Later ones forget it where stage 2 says Normal memory and the page is in the
    TLB: whether it is depends on who ran before. So Device memory is accessed with all accesses
    checked by SCTLR_EL1.A.
    """
    random = draft.random
    draft.at_el0(0.3)
    registers = draft.use_pointers(3)
    bad = random.choice(registers.pointers)
    kind = random.choice(_PAGES)
    page = ARENA + kind * PAGE + random.choice((0, PAGE // 2, PAGE - 8))
    address = random.choice(
        (
            page,
            page,
            page + random.randrange(16),
            random.getrandbits(64),
            draft.guest.scratch + random.choice((0, USER_ALIAS)) + SCRATCH_SIZE // 2,
        )
    )
    draft.set(bad, address)
    if abs(kind - ARENA_DEVICE) <= 1:  # an access may reach into the page beside
        draft.flags |= FLAG_ALIGNED
    if Feature.PAN in draft.features:
        draft.pstate |= _PAN * random.getrandbits(1)
    draft.draw(_ACCESSES, 3)


def _alignment(draft: Draft) -> None:
    """Atomics and ordered accesses at any address."""
    draft.at_el0(0.3)
    registers = draft.use_pointers(3)
    for register in registers.pointers:
        draft.set(register, draft.pointer() + draft.random.randrange(16))
    draft.draw((*memory.ORDERED, *memory.ATOMIC), 3)


def _checked_alignment(draft: Draft) -> None:
    """Any access at any address, through any stack pointer, where all must be aligned."""
    draft.flags |= FLAG_ALIGNED
    draft.at_el0(0.3)
    registers = draft.use_pointers(4)
    for register in registers.pointers:
        draft.set(register, draft.pointer() + draft.random.choice((0, 0, 8, 4, 2, 1)))
    draft.draw(_ACCESSES, 3)


def _instruction(draft: Draft) -> None:
    """Branches to where nothing can be executed."""
    random = draft.random
    draft.at_el0(0.3)
    register = random.randrange(31)
    target = random.choice(
        (
            ARENA + random.choice((*_PAGES, ARENA_FAR_CODE)) * PAGE + 4 * random.randrange(1024),
            draft.address(0) + random.randrange(1, 4),
            draft.scratch(SCRATCH_SIZE - 4),
            random.getrandbits(62) << 2,
            1 << random.randrange(40, 64),
        )
    )
    draft.set(register, target)
    draft.add(random.choice((_BR, _BLR, _RET)) | register << 5)


def _probed_page(draft: Draft) -> None:
    """Reads of the pages in which stepping starts and stops: they show what the guest put there."""
    registers = draft.use_pointers(3)
    for register in registers.pointers:
        place = draft.random.choice((draft.guest.start, draft.guest.stop))
        draft.set(register, (place & ~15) + 16 * draft.random.randrange(-4, 4))
    loads = (*memory.GENERAL, *memory.VECTOR, *memory.PAIR)
    draft.draw(loads, 3)
    # Stores there would destroy the guest.
    draft.words = [_as_load(word) for word in draft.words]


def _as_load(word: int) -> int:
    pair, vector, opc = word >> 27 & 7 == 5, word >> 26 & 1, word >> 22 & 3
    stores = pair or opc == 0 or (vector and opc == 2)
    return word | 1 << 22 if stores else word


def _emulated_device(draft: Draft) -> None:
    """Registers of the interrupt controller, which a hypervisor emulates at least in part."""
    random = draft.random
    pointer, value = random.sample(range(31), 2)
    draft.registers = draft.registers.__class__(
        written=tuple(r for r in range(31) if r not in {pointer, value})
    )
    # What a case leaves there its next run finds: so it begins with nothing enabled.
    draft.load(pointer, _ICENABLER_SPARE)
    draft.load(value, 0xFF00)
    draft.add(_STORE_W | pointer << 5 | value)
    if random.getrandbits(1):
        _priority(draft, pointer, value)
    size, places = random.choice(((4, _GIC_READS), (8, (_GICR_TYPER,))))
    draft.load(pointer, random.choice(places))
    draft.add(random.choice(_LOADS[size]) | pointer << 5 | draft.free_register())
    draft.load(pointer, random.choice((_ISENABLER, _ICENABLER_SPARE)))
    draft.load(value, 1 << random.randrange(8, 15))
    draft.add(_STORE_W | pointer << 5 | value, _LOAD_W | pointer << 5 | draft.free_register())


def _priority(draft: Draft, pointer: int, value: int) -> None:
    """By bytes, written first."""
    random = draft.random
    draft.load(pointer, _GICR_PRIORITY + random.randrange(8, 15))
    draft.load(value, random.getrandbits(4) << 4)
    draft.add(_STORE_B | pointer << 5 | value)
    for _ in range(3):
        draft.add(random.choice(_LOADS[1]) | pointer << 5 | draft.free_register())


FAULTS = (
    CaseClass("fault-data", _data, linear=True),
    CaseClass("fault-alignment", _alignment, linear=True),
    CaseClass("fault-alignment-checked", _checked_alignment, linear=True),
    CaseClass("fault-instruction", _instruction),
    CaseClass("probed-page", _probed_page, share=0.5),
    CaseClass("emulated-device", _emulated_device, share=0.5),
)
