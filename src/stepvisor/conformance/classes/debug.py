"""The guest debugs itself: its own single-step, breakpoints, watchpoints, BRK, and the OS lock."""

from collections.abc import Callable

from stepvisor.conformance.classes.branches import branch_immediate
from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import EL0T, EL1H, EXIT, Draft
from stepvisor.conformance.instructions import integer, memory
from stepvisor.conformance.layout import FLAG_DEBUG, FLAG_DEBUGGER, FLAG_DOUBLE_LOCK, FLAG_OS_LOCK
from stepvisor.conformance.registers import DEBUG, READ_ONLY, mrs, msr
from stepvisor.conformance.target import Trap

__all__ = ("DEBUGGING",)

_D, _SS = 0x200, 1 << 21
_MDSCR_SS, _MDSCR_KDE, _MDSCR_MDE = 1, 1 << 13, 1 << 15
_BREAKPOINT = {EL1H: 0x1E3, EL0T: 0x1E5}
"""DBGBCR: enabled, for that level, all four bytes."""
_WATCHPOINT = {EL1H: 0x3, EL0T: 0x5}
"""DBGWCR: enabled, for that level."""
_ERET = 0xD69F_03E0
_OSLAR = 0xD510_1080
_OSLSR = 0xD530_1180
_OSDLR_READ, _OSDLR_WRITE = 0xD530_1380, 0xD510_1380
_MDSCR_WRITE = 0xD510_0240
_SET_D, _CLEAR_D, _ISB = 0xD503_48DF, 0xD503_48FF, 0xD503_3FDF
_BRK = 0xD420_0000
_SYSTEM_CALL = 0xD400_0001 | 1 << 5
_LDXR = 0xC85F_7C00
_LINK_REGISTER = 30
_CHANCE_OF_LOCK, _CHANCE_OF_ENABLE = 0.15, 0.75


def _unmasked(draft: Draft, mdscr: int, chance_of_el0: float = 0.4) -> None:
    draft.flags |= FLAG_DEBUG
    draft.at_el0(chance_of_el0)
    draft.pstate &= ~_D
    draft.mdscr = mdscr


def _breakpoint(draft: Draft) -> None:
    _unmasked(draft, _MDSCR_MDE | _MDSCR_KDE)
    draft.draw(integer.REGISTER, 5)
    for number in range(2):
        where = draft.address(draft.random.randrange(8))
        level = draft.random.choice((draft.mode, draft.mode, EL0T + EL1H - draft.mode))
        draft.breakpoints[number] = (where, _BREAKPOINT[level])


def _watchpoint(draft: Draft) -> None:
    _watch(draft)
    draft.draw((*memory.GENERAL, *memory.PAIR), 4)


def _watch(draft: Draft) -> None:
    """A watchpoint near what some of the pointers point to."""
    _unmasked(draft, _MDSCR_MDE | _MDSCR_KDE)
    random = draft.random
    registers = draft.use_pointers(3)
    watched = draft.pointer()
    for register in registers.pointers:
        draft.set(register, watched + 8 * random.randrange(-2, 3))
    control = _WATCHPOINT[draft.mode] | random.randrange(1, 4) << 3 | random.randrange(1, 256) << 5
    draft.watchpoint = (watched, _one_run(control))


def _one_run(control: int) -> int:
    """The byte address select must be one run of ones."""
    select = control >> 5 & 255
    top = low = select & -select
    while select & top << 1:
        top <<= 1
    return control & 31 | (2 * top - low) << 5


def _single_step(draft: Draft) -> None:
    """With PSTATE.SS set it runs one instruction, with it clear, none.

    Not an instruction that sets PSTATE.D: QEMU takes the exception after it all the same.
    """
    _unmasked(draft, _MDSCR_SS | _MDSCR_KDE)
    random = draft.random
    draft.pstate |= _SS * (random.random() < 0.8)
    draft.use_pointers()
    kind = random.randrange(8)
    if kind == 0:
        draft.add(branch_immediate(random, 2))
    elif kind == 1:
        draft.add(
            0xD400_0001 | random.randrange(4) | random.getrandbits(8) << 5
            if random.getrandbits(1)
            else 0xD420_0000
        )
    elif kind == 2:
        draft.add(_LDXR | draft.registers.pointers[0] << 5 | draft.free_register())
    elif kind == 3:
        draft.set(draft.registers.pointers[0], random.getrandbits(64))
        draft.draw(memory.GENERAL)
    else:
        draft.draw((*integer.REGISTER, *memory.GENERAL))
    draft.draw(integer.REGISTER, 3)


def _step_user(draft: Draft) -> None:
    """A debugger's way: EL1 returns to EL0 with SPSR_EL1.SS set and steps one instruction there."""
    draft.flags |= FLAG_DEBUG
    draft.mdscr = _MDSCR_SS
    random = draft.random
    elr, spsr = random.sample(range(31), 2)
    draft.mode = EL0T
    target = draft.address(3)
    draft.mode = EL1H
    draft.set(elr, target)
    draft.set(spsr, random.getrandbits(4) << 28 | _SS * (random.random() < 0.8) | EL0T)
    if random.getrandbits(1):
        draft.pstate &= ~_D
    draft.add(0xD518_4020 | elr, 0xD518_4000 | spsr, _ERET)
    draft.draw(integer.REGISTER, 3)
    if random.getrandbits(1):
        draft.words[3] = EXIT


def _registers(draft: Draft) -> None:
    """Debug registers keep what the guest writes, and show it."""
    draft.flags |= FLAG_DEBUG
    draft.mdscr = draft.random.choice((0, _MDSCR_MDE, _MDSCR_KDE | 1, 1))
    random = draft.random
    for _ in range(4):
        register = random.choice(DEBUG[:22])
        target, source = random.sample(range(31), 2)
        draft.load(source, random.getrandbits(64) & register.mask)
        draft.add(msr(register, source), mrs(register, target))
    draft.add(mrs(random.choice((*DEBUG, *READ_ONLY[-2:])), draft.free_register()))


def _masked(draft: Draft) -> None:
    """Breakpoints and a watchpoint in states that mask them, and through changes of these states.

    Of the two locks the double lock: QEMU looks at another bit than the OS lock's.
    """
    random = draft.random
    _watch(draft)
    draft.pstate |= _D * random.getrandbits(1)
    draft.mdscr = _mask_choice(draft)
    draft.flags |= FLAG_DOUBLE_LOCK * (random.random() < _CHANCE_OF_LOCK)
    for number in range(2):
        draft.breakpoints[number] = (draft.address(random.randrange(16)), _BREAKPOINT[draft.mode])
    for _ in range(4):
        if draft.mode == EL1H:
            _change_mask(draft)
        draft.draw((*memory.GENERAL, *integer.REGISTER))


def _mask_choice(draft: Draft) -> int:
    """Of MDSCR_EL1: either bit, more often than not."""
    bits = (_MDSCR_MDE, _MDSCR_KDE)
    return sum(bit for bit in bits if draft.random.random() < _CHANCE_OF_ENABLE)


def _change_mask(draft: Draft) -> None:
    """PSTATE.D, MDSCR_EL1 or the double lock."""
    kind = draft.random.randrange(4)
    register = draft.free_register()
    if kind < 2:
        draft.add((_SET_D, _CLEAR_D)[kind])
        return
    if kind == 2:
        draft.load(register, _mask_choice(draft))
        draft.add(_MDSCR_WRITE | register, _ISB)
    else:
        draft.load(register, draft.random.getrandbits(1))
        draft.add(_OSDLR_WRITE | register, _ISB)


def _os_lock(draft: Draft) -> None:
    """Set and cleared by the guest, whose breakpoints are off: QEMU takes them under the lock."""
    _unmasked(draft, _MDSCR_KDE)
    random = draft.random
    draft.flags |= FLAG_OS_LOCK * random.getrandbits(1)
    if draft.mode == EL1H and random.getrandbits(1):
        lock, shown = random.sample(range(31), 2)
        draft.load(lock, random.getrandbits(1))
        draft.add(_OSLAR | lock, _ISB, _OSLSR | shown, _OSDLR_READ | draft.free_register(shown))
    draft.breakpoints[0] = (draft.address(draft.random.randrange(8)), _BREAKPOINT[draft.mode])
    draft.draw(integer.REGISTER, 4)


def _locked(draft: Draft) -> None:
    """The OS lock or the double lock is set: every instruction is stepped all the same."""
    draft.flags |= FLAG_DEBUG | draft.random.choice((FLAG_OS_LOCK, FLAG_DOUBLE_LOCK))
    draft.at_el0(0.25)
    draft.draw(integer.REGISTER, 4)


def _under_debugger(draft: Draft) -> None:
    """A program at EL0 with branches, system calls and BRKs, under a debugger of the guest's own.

    The debugger steps it, waits at a breakpoint or a watchpoint, or only serves its calls.
    """
    draft.flags |= FLAG_DEBUG | FLAG_DEBUGGER
    draft.at_el0()
    random = draft.random
    draft.mdscr = random.choice((0, _MDSCR_SS, _MDSCR_MDE, _MDSCR_SS | _MDSCR_MDE))
    draft.pstate |= _SS * random.getrandbits(1)
    registers = draft.use_pointers(3)
    while _LINK_REGISTER in registers.pointers:  # a BL would make it point to the code
        registers = draft.use_pointers(3)
    for _ in range(8):
        kind = random.randrange(6)
        if kind == 0:
            draft.add(branch_immediate(random, 2))
        elif kind == 1:
            draft.add(_SYSTEM_CALL)
        elif kind == 2:
            draft.add(_BRK | random.getrandbits(16) << 5)
        else:
            draft.draw((*integer.REGISTER, *memory.GENERAL, *memory.PAIR))
    draft.draw(integer.REGISTER, 2)
    if draft.mdscr & _MDSCR_MDE:
        draft.breakpoints[0] = (draft.address(random.randrange(10)), _BREAKPOINT[EL0T])
        watched = draft.x[registers.pointers[0]] if registers.pointers[0] < 31 else draft.sp_el0
        draft.watchpoint = (int(watched) & ~7, _WATCHPOINT[EL0T] | 3 << 3 | 255 << 5)


def _class(
    name: str,
    build: Callable[[Draft], None],
    *,
    linear: bool = False,
    probed: Trap = Trap.CALL,
    share: float = 1.0,
) -> CaseClass:
    """In a new machine: after probes by BRK debug exceptions of what runs freely are not free."""
    return CaseClass(name, build, linear=linear, probed=probed, share=share, fresh=True)


DEBUGGING = (
    _class("debug-breakpoint", _breakpoint),
    _class("debug-watchpoint", _watchpoint, probed=Trap.BREAKPOINT),
    _class("debug-masked", _masked, probed=Trap.BREAKPOINT),
    _class("debug-single-step", _single_step, probed=Trap.BREAKPOINT, share=0.25),
    _class("debug-step-user", _step_user, probed=Trap.BREAKPOINT, share=0.25),
    _class("debug-register", _registers, linear=True),
    _class("debug-os-lock", _os_lock),
    _class("debug-locked", _locked, linear=True),
    _class("debug-user-program", _under_debugger, probed=Trap.BREAKPOINT, share=0.5),
)
