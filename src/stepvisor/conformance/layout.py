"""What the suite and its guest agree on; tests/guests/conformance/conformance.h is the other side.

The guest's image carries the sizes of these structures and the addresses of what is shared, so a
mismatch is refused at the start.
"""

from dataclasses import dataclass

import numpy as np

from stepvisor.errors import SetupError

__all__ = (
    "ARENA",
    "ARENA_DEVICE",
    "ARENA_FAR",
    "ARENA_FAR_CODE",
    "ARENA_GUARDED",
    "ARENA_INVALID",
    "ARENA_NO_ACCESS_FLAG",
    "ARENA_READ_ONLY",
    "ARENA_SCRATCH_AARCH32",
    "ARENA_TAGGED",
    "ARENA_USER_GUARDED",
    "ARENA_USER_READ_ONLY",
    "BATCH",
    "BATCH_OFFSET",
    "BATCH_STRIDE",
    "CASE",
    "COMMAND_CASES",
    "COMMAND_PROBED",
    "COMMAND_SCENARIO",
    "FLAG_ALIGNED",
    "FLAG_DEBUG",
    "FLAG_DEBUGGER",
    "FLAG_DOUBLE_LOCK",
    "FLAG_IRQ",
    "FLAG_NO_TAG_CHECKS",
    "FLAG_OS_LOCK",
    "MAILBOX",
    "MAX_WORDS",
    "PAGE",
    "RESULT",
    "SCRATCH_SIZE",
    "STATE",
    "UPPER_HALF",
    "USER_ALIAS",
    "Descriptor",
    "name_word",
)

PAGE = 4096
SCRATCH_SIZE = 4096
MAX_WORDS = 64

BATCH = 1024
"""Cases of a batch that is run under probes: each has its code in a place of its own,"""
BATCH_STRIDE = 528
"""which is that many bytes,"""
BATCH_OFFSET = 8192
"""and the first of which begins there in the code buffer."""

USER_ALIAS = 0x8000_0000
"""Added to the address of RAM: the same memory for EL0."""

UPPER_HALF = 0xFFFF_FF80_0000_0000
"""Added to any address: the same memory, for the same level, translated by TTBR1_EL1."""

ARENA = 0x8000_0000
"""Virtual address of the pages with further mappings of scratch memory and code."""

ARENA_READ_ONLY = 0
ARENA_USER_READ_ONLY = 1
ARENA_INVALID = 2
ARENA_DEVICE = 3
ARENA_NO_ACCESS_FLAG = 4
ARENA_FAR = 7
"""An address that stage 2 does not map."""
ARENA_TAGGED = 8
ARENA_FAR_CODE = 12
"""Likewise, and EL1 may execute it."""
ARENA_GUARDED = 32
"""The code, for BTI."""
ARENA_USER_GUARDED = 192

ARENA_SCRATCH_AARCH32 = 402
"""The scratch memory for AArch32 code at EL0, with nothing before and behind it, either."""

COMMAND_CASES = 1
COMMAND_SCENARIO = 2
COMMAND_PROBED = 3

FLAG_IRQ = 1
"""An interrupt is pending when the case starts."""
FLAG_OS_LOCK = 2
"""The OS lock is set while it runs."""
FLAG_DEBUG = 4
"""Debug registers are set before it, as the case says, and cleared after it."""
FLAG_DOUBLE_LOCK = 16
"""The OS double lock is set while it runs."""
FLAG_ALIGNED = 64
"""All accesses and the stack pointer must be aligned, by SCTLR_EL1, while it runs."""
FLAG_NO_TAG_CHECKS = 32
"""Accesses are not checked for their tags, by SCTLR_EL1, while it runs."""
FLAG_DEBUGGER = 8
"""Exceptions from EL0 go to a debugger of the guest's, which logs them and goes on."""

STATE = np.dtype(
    [
        ("x", "<u8", 31),
        ("sp_el1", "<u8"),
        ("pc", "<u8"),
        ("pstate", "<u8"),
        ("esr", "<u8"),
        ("far", "<u8"),
        ("sp_el0", "<u8"),
        ("tpidr_el0", "<u8"),
        ("fpcr", "<u8"),
        ("fpsr", "<u8"),
        ("vector", "<u8"),
        ("par", "<u8"),
        ("contextidr", "<u8"),
        ("mdscr", "<u8"),
        ("oslsr", "<u8"),  # OSDLR_EL1 in its upper half
        ("irqs", "<u8"),
        ("irq_pc", "<u8"),
        ("irq_pstate", "<u8"),
        ("irq_save", "<u8", 2),
        ("q", "<u8", 64),
    ]
)
"""Registers that a case starts from, and leaves."""

CASE = np.dtype(
    [
        ("count", "<u8"),
        ("offset", "<u8"),
        ("flags", "<u8"),
        ("seed", "<u8"),
        ("mdscr", "<u8"),
        ("breakpoint", "<u8", (2, 2)),
        ("watchpoint", "<u8", 2),
        ("entry", "<u8"),
        ("reserved", "<u8", 4),
        ("words", "<u4", MAX_WORDS),
        ("start", STATE),
    ]
)

RESULT = np.dtype(
    [
        ("difference", "<u8"),
        ("native", "<u8"),
        ("other", "<u8"),
        ("vector", "<u8"),
        ("esr", "<u8"),
        ("pc", "<u8"),
        ("irqs", "<u8"),
        ("irq_pstate", "<u8"),
    ]
)

MAILBOX = np.dtype(
    [
        ("request", "<u8"),
        ("answer", "<u8"),
        ("progress", "<u8"),
        ("command", "<u8"),
        ("arguments", "<u8", 6),
        ("results", "<u8", 22),
    ]
)

_LOG_SIZE = 64 * 16
_BEHIND_LOG = ("DBGBVR0_EL1", "DBGBCR0_EL1", "DBGBVR1_EL1", "DBGBCR1_EL1", "allocation tags")

_MAGIC = b"SVCONFORMANCE001"

_FIELDS = (
    "mailbox",
    "scratch",
    "code",
    "start",
    "stop",
    "outcomes",
    "outcome_stride",
    "call_start",
    "call_stop",
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Where things are in the guest; but for the scratch memory, virtual is physical address."""

    mailbox: int
    scratch: int
    """Memory that cases work on, SCRATCH_SIZE bytes; nothing is mapped before and behind it."""
    code: int
    """Two pages for instructions."""
    start: int
    """The instruction from which on a case is stepped: the exception return to it."""
    stop: int
    """The instruction before which stepping ends."""
    outcomes: int
    """STATE and scratch memory of the last case run freely, and one stride behind, stepped."""
    outcome_stride: int
    call_start: int
    """Likewise for scenarios, functions that they call."""
    call_stop: int

    @classmethod
    def find(cls, image: bytes) -> "Descriptor":
        """In the guest's image.

        :raise SetupError: When it is not there, or of another build.
        """
        start = image.find(_MAGIC)
        numbers = np.frombuffer(
            image, "<u8", count=(len(image) - max(start, 0)) // 8, offset=max(start, 0)
        )
        sizes = [t.itemsize for t in (CASE, RESULT, STATE, MAILBOX)]
        if start < 0 or numbers[2:6].tolist() != sizes:
            message = "the guest of the conformance suite is of another build; run `make el2`"
            raise SetupError(message)
        return cls(**dict(zip(_FIELDS, numbers[6:].tolist(), strict=False)))


def name_word(index: int) -> str:
    """What the u64 number `index` of a state with the memory behind it is."""
    offset = index * 8
    behind_log = (offset - STATE.itemsize - SCRATCH_SIZE - _LOG_SIZE) // 8
    if behind_log >= 0:
        return _BEHIND_LOG[behind_log]
    if offset >= STATE.itemsize + SCRATCH_SIZE:
        entry, part = divmod((offset - STATE.itemsize - SCRATCH_SIZE) // 8, 2)
        return f"debugger's log, entry {entry}, {'esr' if part else 'pc'}"
    if offset >= STATE.itemsize:
        return f"scratch memory + 0x{offset - STATE.itemsize:x}"
    assert STATE.fields is not None
    for name in reversed(STATE.names or ()):
        start = STATE.fields[name][1]
        if offset >= start:
            return _name_part(name, (offset - start) // 8)
    raise IndexError(index)


def _name_part(name: str, part: int) -> str:
    if name == "x":
        return f"x{part}"
    if name == "q":
        return f"v{part // 2}.d[{part % 2}]"
    return f"{name}[{part}]" if name == "irq_save" else name
