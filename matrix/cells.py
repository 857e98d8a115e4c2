"""What is run where: QEMUs, kernels, and the tests that depend on either."""

from dataclasses import dataclass
from typing import Final

from matrix.qemu import QEMUS
from stepvisor.machine.config import DEFAULT_CPU

__all__ = ("BARE", "KERNELS", "QUICK", "Cell", "cells")

KERNELS: Final = (
    *("5.10-cloud", "6.1-cloud", "6.12-cloud", "6.12-rt", "6.12-16k"),
    "backports-cloud",
)
"""As $STEPVISOR_GUEST takes them."""

BARE: Final = "bare metal"
"""In place of a kernel: conformance, and guests of the suite's own."""

_CPU: Final = "max,pauth-impdef=on"
"""As the tests name it."""
_OLDER_CPU: Final = "cortex-a57"
"""No pointer authentication, no LSE atomics; the kernel isolates its page tables."""

_EVERY_KERNEL: Final = (
    f"boot.py::test_cpu_models[{_CPU}]",
    "trace.py::test_twenty_thousand",
    "trace.py::test_every_vcpu_at_once",
    "trace.py::test_kaslr_agrees_with_the_guest",
    "trace.py::test_the_guest_sees_its_own_code",
    "trace.py::test_many_probes",
    "program_trace.py::test_captured_strings_are_the_names_that_are_opened",
    "program_trace.py::test_a_pointer_chain",
    "program_trace.py::test_symbols_in_expressions",
    f"tasks.py::test_a_name_on_a_page_that_nobody_has_touched[{_CPU}]",
    "guest_patches.py",
    "modules.py",
)
"""What depends on the kernel's layouts, its code and how it changes that; `tests/system/test_`
goes before each."""
_STEPS: Final = (
    "step.py::test_every_step_follows_from_the_one_before",
    "step.py::test_exclusive_sequences_are_stepped",
    "step.py::test_a_function_that_blocks_shows_its_own_task_only",
)
_OLDER: Final = (
    f"boot.py::test_cpu_models[{_OLDER_CPU}]",
    f"tasks.py::test_a_name_on_a_page_that_nobody_has_touched[{_OLDER_CPU}]",
    *(f"{name}[{_OLDER_CPU}]" for name in _STEPS),
)
_OLDER_WITH_16K: Final = ("boot.py::test_cpu_models[neoverse-n1]",)
"""For kernels with pages of 16 KiB, which a Cortex-A57 has not (ID_AA64MMFR0_EL1.TGran16)."""

_BARE_METAL: Final = (
    *("monitor_displaced.py", "monitor_exclusive.py", "monitor_hostile.py"),
    *("monitor_interrupts.py", "monitor_selfdebug.py", "monitor_shadow.py", "monitor_smp.py"),
    *("monitor_storm.py", "plan_emulation.py", "bench.py"),
)
_QUICKLY: Final = (
    "bench.py::test_a_hit_is_a_hit",
    "monitor_hostile.py::test_trapped_gic_access_is_done_or_refused",
    "plan_emulation.py::test_pointers_are_signed_as_the_core_signs_them",
    f"monitor_displaced.py::test_state_is_the_same_with_and_without_probe[{_CPU}-emulate-SMC]",
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


def _system(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/system/test_{name}" for name in names)


QUICK: Final = (
    Cell(
        "11",
        BARE,
        _system(*_QUICKLY),
        (
            *("--quick", "--cpu", _OLDER_CPU, "--cpu", DEFAULT_CPU),
            *(word for name in _QUICK_CLASSES for word in ("--class", name)),
        ),
    ),
    Cell("11", "6.12-cloud", _system("trace.py::test_twenty_thousand")),
)
"""About two minutes: what differed once."""


def cells() -> list[Cell]:
    """All of it."""
    return [
        cell
        for qemu in QEMUS
        for cell in (
            Cell(qemu, BARE, _system(*_BARE_METAL), ("--quick",)),
            *(Cell(qemu, kernel, _on_linux(kernel)) for kernel in KERNELS),
        )
    ]


def _on_linux(kernel: str) -> tuple[str, ...]:
    older = _OLDER_WITH_16K if kernel.endswith("-16k") else _OLDER
    newer = (f"{name}[{_CPU}]" for name in _STEPS)
    return _system(*_EVERY_KERNEL, *newer, *older)
