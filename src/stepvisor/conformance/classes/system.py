"""System registers, barriers, cache and TLB maintenance, address translation, waits, exceptions."""

from stepvisor.conformance.classes.case_class import CaseClass
from stepvisor.conformance.draft import EL0T, EL1H, EL1T, EXIT, Draft
from stepvisor.conformance.features import Feature
from stepvisor.conformance.instructions import integer
from stepvisor.conformance.layout import ARENA, FLAG_IRQ, PAGE, USER_ALIAS
from stepvisor.conformance.registers import READ_ONLY, WRITABLE, mrs, msr
from stepvisor.conformance.target import Trap

__all__ = ("SYSTEM",)

_PSCI = (0x8400_0000, 0x8400_000A, 0x8000_0000, 0x8000_0001, 0x8400_0006, 0x8700_FF00)
"""PSCI_VERSION, PSCI_FEATURES, SMCCC_VERSION, SMCCC_ARCH_FEATURES, MIGRATE_INFO_TYPE, nobody's."""
_ERET, _ERETAA = 0xD69F_03E0, 0xD69F_0BFF
_PACIA_SP, _NOP = 0xDAC1_03E0, 0xD503_201F
_WAITS = (0xD503_207F, 0xD503_205F, 0xD503_209F, 0xD503_20BF, 0xD503_203F, 0xD503_201F)
"""WFI, WFE, SEV, SEVL, YIELD, NOP."""
_WFI, _WFE_HINT, _WFI_HINT = 0xD503_207F, 2, 3
_CACHE_BY_ADDRESS = (
    0xD50B_7420,  # DC ZVA
    0xD50B_7A20,  # DC CVAC
    0xD50B_7B20,  # DC CVAU
    0xD50B_7E20,  # DC CIVAC
    0xD50B_7520,  # IC IVAU
)
_CACHE_OTHER = (
    0xD508_7620,  # DC IVAC
    0xD508_7640,  # DC ISW
    0xD508_7A40,  # DC CSW
    0xD508_7E40,  # DC CISW
    0xD508_751F,  # IC IALLU
    0xD508_711F,  # IC IALLUIS
)
_TLB = (0xD508_871F, 0xD508_8720, 0xD508_8740, 0xD508_8760, 0xD508_87A0, 0xD508_87E0)
"""TLBI VMALLE1, VAE1, ASIDE1, VAAE1, VALE1, VAALE1; with bit 10 clear for all CPUs."""
_TLB_LOCAL = 1 << 10
_TRANSLATE_PAN = (0xD508_7900, 0xD508_7920)
"""AT S1E1RP, S1E1WP."""
_PERSISTENT = (0xD50B_7C20,)
"""DC CVAP."""
_TRANSLATE = (0xD508_7800, 0xD508_7820, 0xD508_7840, 0xD508_7860)
"""AT S1E1R, S1E1W, S1E0R, S1E0W."""
_SS, _IL, _PAN = 1 << 21, 1 << 20, 1 << 22


def _some_registers(draft: Draft) -> None:
    draft.at_el0(0.2)
    for _ in range(4):
        _one_register(draft)


def _one_register(draft: Draft) -> None:
    random = draft.random
    if random.getrandbits(1):
        draft.add(mrs(random.choice(READ_ONLY), draft.free_register()))
        return
    register = random.choice([r for r in WRITABLE if r.needs in draft.features])
    target, source = random.sample(range(31), 2)
    # The value is made at this place: an earlier instruction may have written the register.
    value = random.choice((0, register.mask, random.getrandbits(64) & register.mask))
    draft.load(source, value)
    draft.add(msr(register, source), mrs(register, target))


def _immediate_fields(draft: Draft) -> None:
    """MSR (immediate): DAIFSet, DAIFClr, SPSel, PAN, UAO, DIT, SSBS."""
    random = draft.random
    choices = [(3, 6), (3, 7), (0, 5)]
    optional = ((Feature.PAN, (0, 4)), (Feature.UAO, (0, 3)), (Feature.DIT, (3, 2)))
    choices += [place for feature, place in optional if feature in draft.features]
    for _ in range(3):
        op1, op2 = random.choice(choices)
        value = random.getrandbits(4) if op1 == 3 and op2 >= 6 else random.getrandbits(1)
        draft.add(0xD500_401F | op1 << 16 | value << 8 | op2 << 5)
        draft.draw(integer.REGISTER)


def _barriers(draft: Draft) -> None:
    draft.at_el0(0.25)
    random = draft.random
    for _ in range(4):
        hint = random.randrange(128)
        draft.add(
            random.choice(
                (
                    0xD503_309F | random.getrandbits(4) << 8,  # DSB
                    0xD503_30BF | random.getrandbits(4) << 8,  # DMB
                    0xD503_30DF,  # ISB
                    0xD503_305F | random.getrandbits(4) << 8,  # CLREX
                    0xD503_201F | (0 if hint in {_WFE_HINT, _WFI_HINT} else hint) << 5,
                )
            )
        )


def _caches(draft: Draft) -> None:
    draft.at_el0(0.2)
    registers = draft.use_pointers(3)
    random = draft.random
    for _ in range(3):
        base = random.choice([r for r in registers.pointers if r < 31])
        if draft.mode == EL0T or random.getrandbits(1):
            more = _PERSISTENT if Feature.DPB in draft.features else ()
            draft.add(random.choice((*_CACHE_BY_ADDRESS, *more)) | base)
        else:
            draft.add(random.choice(_CACHE_OTHER) | base)


def _tlb(draft: Draft) -> None:
    random = draft.random
    for _ in range(2):
        word = random.choice(_TLB) & ~(_TLB_LOCAL * random.getrandbits(1))
        draft.add(word | (31 if word & 31 == 31 else random.getrandbits(5)))
    draft.add(0xD503_3F9F, 0xD503_3FDF)  # DSB SY, ISB


def _translate(draft: Draft) -> None:
    random = draft.random
    more = _TRANSLATE_PAN if Feature.PAN2 in draft.features else ()
    if Feature.PAN in draft.features:
        draft.pstate |= _PAN * random.getrandbits(1)
    for _ in range(3):
        register, result = random.sample(range(31), 2)
        offset = random.randrange(PAGE)
        address = random.choice(
            (draft.scratch(offset), draft.scratch(USER_ALIAS), random.getrandbits(64))
        )
        if random.getrandbits(1):
            address = ARENA + random.randrange(12) * PAGE + offset
        draft.load(register, address)
        word = random.choice((*_TRANSLATE, *more)) | register
        draft.add(word, 0xD503_3FDF, 0xD538_7400 | result)


def _waits(draft: Draft) -> None:
    """WFI with an interrupt pending, which ends it whether or not it is masked; it stays masked."""
    draft.at_el0(0.25)
    draft.flags |= FLAG_IRQ
    for _ in range(3):
        draft.add(draft.random.choice(_WAITS))
        draft.draw(integer.REGISTER)


def _exceptions(draft: Draft) -> None:
    """Instructions that generate one, or are undefined."""
    draft.at_el0(0.3)
    random, immediate = draft.random, draft.random.getrandbits(16)
    draft.draw(integer.REGISTER)
    draft.add(
        random.choice(
            (
                0xD400_0001 | immediate << 5,  # SVC
                0xD400_0002 | immediate << 5,  # HVC
                0xD420_0000 | immediate << 5,  # BRK
                0xD440_0000 | immediate << 5,  # HLT
                immediate,  # UDF
                0xD4A0_0001 + random.randrange(3),  # DCPS1 to DCPS3
                0xD6BF_03E0,  # DRPS
                0x0200_0000 | random.getrandbits(25),  # unallocated
            )
        )
    )


def _firmware_call(draft: Draft) -> None:
    """SMC: at EL1 the hypervisor's own business, at EL0 undefined."""
    draft.at_el0(0.1)
    draft.set(0, draft.random.choice(_PSCI))
    draft.set(1, draft.random.choice(_PSCI))
    immediate = draft.random.choice((0, 0, *range(8), draft.random.getrandbits(16)))
    draft.add(0xD400_0003 | immediate << 5)
    draft.draw(integer.REGISTER)


def _hypercall(draft: Draft) -> None:
    """HVC that somebody listens to: its return address is behind it already."""
    draft.at_el0(0.1)
    draft.draw(integer.REGISTER)
    draft.add(0xD400_0002 | draft.random.getrandbits(16) << 5)
    draft.draw(integer.REGISTER, 3)


def _exception_return(draft: Draft) -> None:
    """To EL1 or EL0, with flags, masks and now and then an illegal mode."""
    random = draft.random
    draft.at_el0(0.1)
    elr, spsr = random.sample(range(31), 2)
    source = draft.mode
    mode = random.choice((EL0T, EL0T, EL1H, EL1H, EL1T))
    draft.mode = mode
    target = draft.address(random.randrange(4, 8))
    draft.mode = source
    pstate = random.getrandbits(4) << 28 | random.getrandbits(4) << 6 | mode
    pstate |= _SS * random.getrandbits(1) | _IL * (random.random() < 0.05)
    if Feature.PAN in draft.features:
        pstate |= _PAN * random.getrandbits(1)
    if random.random() < 0.05:
        pstate = pstate & ~15 | random.choice((1, 9, 8, 13))
    draft.set(elr, target)
    draft.set(spsr, pstate)
    if Feature.PAUTH in draft.features and random.random() < 0.3:
        key = random.getrandbits(1)
        wrong = random.random() < 0.1
        # The code depends on SP, as ERETAA has it.
        sign = _PACIA_SP | (key ^ wrong) << 10 | elr
        draft.add(sign, 0xD518_4020 | elr, 0xD518_4000 | spsr, _ERETAA | key << 10)
    else:
        draft.add(_NOP, 0xD518_4020 | elr, 0xD518_4000 | spsr, _ERET)
    draft.add(*[EXIT] * 4)


SYSTEM = (
    CaseClass("system-register", _some_registers, linear=True),
    CaseClass("pstate-field", _immediate_fields, linear=True),
    CaseClass("barrier-hint", _barriers, linear=True),
    CaseClass("cache-maintenance", _caches, linear=True),
    CaseClass("tlb-maintenance", _tlb, linear=True, share=0.5),
    CaseClass("address-translation", _translate, linear=True),
    CaseClass("wait", _waits, linear=True, share=0.5),
    CaseClass("exception", _exceptions, linear=True),
    CaseClass("firmware-call", _firmware_call, linear=True),
    CaseClass("hypercall", _hypercall, linear=True, calls=True, share=0.5),
    CaseClass("exception-return", _exception_return, probed=Trap.BREAKPOINT),
)
