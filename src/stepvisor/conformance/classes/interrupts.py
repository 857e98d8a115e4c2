"""An interrupt is pending; the code masks it, unmasks it, looks at it."""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import EL0T, EL1H, EXIT, Draft
from stepvisor.conformance.instructions import integer, memory
from stepvisor.conformance.layout import FLAG_IRQ
from stepvisor.conformance.target import Interrupts, Trap

__all__ = ("INTERRUPTS",)

_BOTH = (Interrupts.STEP, Interrupts.STEP_ASIDE)
_I = 0x80
_DAIF_SET, _DAIF_CLEAR = 0xD503_40DF, 0xD503_40FF
_READ_DAIF, _WRITE_DAIF = 0xD53B_4220, 0xD51B_4220
_READ_ISR = 0xD538_C100
_READ_PMR, _WRITE_PMR = 0xD538_4600, 0xD518_4600
_WFI, _ISB, _ERET = 0xD503_207F, 0xD503_3FDF, 0xD69F_03E0


def _fill(draft: Draft) -> None:
    """Something ordinary, or something that looks at the interrupt."""
    random = draft.random
    target = draft.free_register()
    draft.draw((*integer.REGISTER, *memory.GENERAL), random.randrange(3))
    if draft.mode == EL1H and random.getrandbits(1):
        draft.add(random.choice((_READ_DAIF, _READ_ISR)) | target)


def _unmasked_at_start(draft: Draft) -> None:
    draft.flags |= FLAG_IRQ
    draft.at_el0(0.5)
    draft.use_pointers()
    draft.pstate &= ~_I
    for _ in range(2):
        _fill(draft)


def _unmask(draft: Draft) -> None:
    draft.flags |= FLAG_IRQ
    draft.use_pointers()
    random = draft.random
    _fill(draft)
    if random.getrandbits(1):
        draft.add(_DAIF_CLEAR | (random.getrandbits(4) | 2) << 8)
    else:
        register = draft.free_register()
        draft.load(register, random.getrandbits(4) << 6 & ~_I)
        draft.add(_WRITE_DAIF | register)
    _fill(draft)
    if random.getrandbits(1):
        draft.add(_DAIF_SET | random.getrandbits(4) << 8)
    _fill(draft)


def _unmask_by_return(draft: Draft) -> None:
    draft.flags |= FLAG_IRQ
    random = draft.random
    elr, spsr = random.sample(range(31), 2)
    mode = random.choice((EL0T, EL1H))
    draft.mode = mode
    target = draft.address(random.randrange(3, 6))
    draft.mode = EL1H
    draft.set(elr, target)
    draft.set(spsr, random.getrandbits(4) << 28 | random.getrandbits(4) << 6 & ~_I | mode)
    draft.add(0xD518_4020 | elr, 0xD518_4000 | spsr, _ERET)
    draft.draw(integer.REGISTER, 4)
    draft.add(EXIT)


def _wait(draft: Draft) -> None:
    """WFI with the interrupt masked, then unmasked."""
    draft.flags |= FLAG_IRQ
    draft.use_pointers()
    _fill(draft)
    draft.add(_WFI)
    _fill(draft)
    draft.add(_DAIF_CLEAR | 2 << 8, _WFI if draft.random.getrandbits(1) else _ISB)
    _fill(draft)


def _priority_mask(draft: Draft) -> None:
    """Held back by ICC_PMR_EL1, unmasked, let through, and the register put back."""
    draft.flags |= FLAG_IRQ
    draft.use_pointers()
    saved = draft.free_register()
    other = draft.free_register(saved)
    draft.add(_READ_PMR | saved, _WRITE_PMR | 31, _ISB, _DAIF_CLEAR | 2 << 8)
    draft.add(_READ_DAIF | other, _READ_ISR | other, _DAIF_SET | 2 << 8)
    draft.add(_WRITE_PMR | saved, _ISB, _READ_ISR | other, _DAIF_CLEAR | 2 << 8, _READ_DAIF | other)


INTERRUPTS = (
    CaseClass("interrupt-at-start", _unmasked_at_start, linear=True, interrupts=_BOTH),
    CaseClass("interrupt-unmask", _unmask, linear=True, interrupts=_BOTH),
    CaseClass("interrupt-by-return", _unmask_by_return, interrupts=_BOTH, probed=Trap.BREAKPOINT),
    CaseClass("interrupt-wait", _wait, linear=True, interrupts=_BOTH, share=0.5),
    CaseClass("interrupt-priority", _priority_mask, linear=True, interrupts=_BOTH, share=0.5),
)
