"""What is run where: QEMUs, kernels, and the tests that depend on either."""

from dataclasses import dataclass
from typing import Final

from matrix.qemu import QEMUS
from stepvisor.machine.config import DEFAULT_CPU

__all__ = ("BARE", "KERNELS", "QUICK", "Cell", "cells")

KERNELS: Final = (*("5.10-cloud", "6.1-cloud", "6.12-cloud", "6.12-rt", "backports-cloud"),)
"""As $STEPVISOR_GUEST takes them."""

BARE: Final = "bare metal"
"""In place of a kernel: conformance, and guests of the suite's own."""

_DISPLACED = "tests/system/test_monitor_displaced.py"
_LINUX: Final = tuple(f"tests/system/test_{name}.py" for name in ("boot", "step", "trace"))
_ON_BARE_METAL: Final = (
    *("tests/system/test_monitor_hostile.py", "tests/system/test_monitor_interrupts.py"),
    *("tests/system/test_monitor_storm.py", "tests/system/test_plan_emulation.py"),
    *("tests/system/test_bench.py", _DISPLACED),
)
_QUICKLY: Final = (
    "tests/system/test_bench.py::test_a_hit_is_a_hit",
    "tests/system/test_monitor_hostile.py::test_trapped_gic_access_is_done_or_refused",
    "tests/system/test_plan_emulation.py::test_pointers_are_signed_as_the_core_signs_them",
    f"{_DISPLACED}::test_state_is_the_same_with_and_without_probe[max,pauth-impdef=on-emulate-SMC]",
)
_QUICK_CLASSES: Final = ("fault-data", "timer-storm-step", "timer-flood-step", "debug-register")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of tests on one QEMU."""

    qemu: str
    kernel: str
    tests: tuple[str, ...]
    conformance: tuple[str, ...] | None = None
    """Arguments of `stepvisor conformance`; None when it is not run."""


QUICK: Final = (
    Cell(
        "11",
        BARE,
        _QUICKLY,
        (
            *("--quick", "--cpu", "cortex-a57", "--cpu", DEFAULT_CPU),
            *(word for name in _QUICK_CLASSES for word in ("--class", name)),
        ),
    ),
    Cell("11", "6.12-cloud", ("tests/system/test_trace.py::test_twenty_thousand",)),
)
"""About two minutes: what differed once."""


def cells() -> list[Cell]:
    """All of it."""
    return [
        cell
        for qemu in QEMUS
        for cell in (
            Cell(qemu, BARE, _ON_BARE_METAL, ("--quick",)),
            *(Cell(qemu, kernel, _LINUX) for kernel in KERNELS),
        )
    ]
