"""Why an instruction under a probe is performed by the monitor, or stepped: in words, for people.

Groups as in the Arm Architecture Reference Manual, "A64 instruction set encoding".
"""

from stepvisor.monitor.emulation import Emulation, Operation

__all__ = ("why_emulated", "why_stepped")

_EMULATED = {
    Operation.NOP: "it changes no register and no memory",
    Operation.READ_SP_EL0: "a system register that the monitor can read at any time",
    Operation.PACIASP: (
        "it signs x30, which the monitor can do with the guest's key; stepped until this core has"
        " shown that it signs alike"
    ),
    Operation.LOAD: (
        "a load of one register; stepped where the memory turns out not to be plain (not mapped,"
        " not aligned, a device, user memory, tags checked)"
    ),
    Operation.BRANCH_REGISTER: (
        "a branch to a register; stepped where the target is no address of an instruction, or what"
        " it leaves in BTYPE depends on the page"
    ),
    Operation.BRANCH: "a branch to a fixed target",
    Operation.BRANCH_IF: "a branch on the flags",
    Operation.BRANCH_ZERO: "a branch on a register",
    Operation.BRANCH_BIT: "a branch on a bit of a register",
}
_INTEGER = "it computes with general registers only"

# (mask, value, reason), first match wins.
_STEPPED = (
    (0xFFFF_0000, 0x0000_0000, "permanently undefined: it takes an exception"),
    (0xFF00_0000, 0xD400_0000, "made to take an exception"),
    (0xFFFF_F01F, 0xD503_201F, "a hint that acts, or that a core may give a meaning"),
    (0xFFFF_F000, 0xD503_3000, "a barrier, or the end of an exclusive sequence"),
    (0xFFF8_F01F, 0xD500_401F, "it changes PSTATE"),
    (0xFFC0_0000, 0xD500_0000, "a system register or a system instruction"),
    (0xFE00_0000, 0xD600_0000, "an authenticated branch or an exception return"),
    (0x0E00_0000, 0x0E00_0000, "floating point or vectors"),
    (0x0E00_0000, 0x0C00_0000, "a vector register loaded or stored"),
    (0x3F00_0000, 0x0800_0000, "an exclusive, ordered or compare-and-swap access"),
    (0x3A00_0000, 0x2800_0000, "a pair of registers loaded or stored"),
    (0x3B00_0000, 0x1800_0000, "a load from beside the code"),
    (0x3B20_0C00, 0x3820_0000, "an atomic access"),
    (0x3B20_0C00, 0x3820_0800, "a load or store with a register as offset"),
    (0x3B20_0400, 0x3800_0400, "a load or store that also moves its base register"),
    (0x3B20_0C00, 0x3800_0800, "an access with the rights of user code"),
    (0x3AC0_0000, 0x3800_0000, "a store"),
    (0x3A00_03E0, 0x3800_03E0, "a load from the stack, whose pointer's alignment may be checked"),
)
_UNKNOWN = "not allocated, unpredictable, or unknown to stepvisor"


def why_emulated(emulation: Emulation) -> str:
    """A phrase for an instruction that is performed."""
    return _EMULATED.get(emulation.operation, _INTEGER)


def why_stepped(word: int) -> str:
    """A phrase for one that is not."""
    for mask, value, reason in _STEPPED:
        if word & mask == value:
            return reason
    return _UNKNOWN
