"""Accesses that fault, and accesses that somebody has to emulate."""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import memory
from stepvisor.conformance.layout import (
    ARENA,
    ARENA_DEVICE,
    ARENA_FAR,
    ARENA_INVALID,
    ARENA_NO_ACCESS_FLAG,
    ARENA_READ_ONLY,
    ARENA_USER_READ_ONLY,
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


def _data(draft: Draft) -> None:
    """One of the pointers is bad in one of many ways."""
    random = draft.random
    draft.at_el0(0.3)
    registers = draft.use_pointers(3)
    bad = random.choice(registers.pointers)
    page = ARENA + random.choice(_PAGES) * PAGE + random.choice((0, PAGE // 2, PAGE - 8))
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


def _instruction(draft: Draft) -> None:
    """Branches to where nothing can be executed."""
    random = draft.random
    draft.at_el0(0.3)
    register = random.randrange(31)
    target = random.choice(
        (
            ARENA + random.choice(_PAGES) * PAGE + 4 * random.randrange(1024),
            draft.address(0) + random.randrange(1, 4),
            draft.scratch(SCRATCH_SIZE - 4) if draft.alias == 0 else ARENA,
            random.getrandbits(62) << 2,
            1 << random.randrange(40, 64),
        )
    )
    if target == draft.scratch(SCRATCH_SIZE - 4):
        target = ARENA + ARENA_READ_ONLY * PAGE  # scratch memory itself is executable
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
    draft.set(pointer, random.choice(_GIC_READS))
    draft.registers = draft.registers.__class__(
        written=tuple(r for r in range(31) if r not in {pointer, value})
    )
    for _ in range(3):
        draft.add(_LOAD_W | pointer << 5 | draft.free_register())
    draft.load(pointer, random.choice((_ISENABLER, _ICENABLER_SPARE)))
    draft.load(value, 1 << random.randrange(8, 15))
    draft.add(_STORE_W | pointer << 5 | value, _LOAD_W | pointer << 5 | draft.free_register())


FAULTS = (
    CaseClass("fault-data", _data, linear=True),
    CaseClass("fault-alignment", _alignment, linear=True),
    CaseClass("fault-instruction", _instruction),
    CaseClass("probed-page", _probed_page, share=0.5),
    CaseClass("emulated-device", _emulated_device, share=0.5),
)
