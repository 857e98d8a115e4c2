"""What the matrix runs, and the table of what passed."""

import subprocess
import sys
from pathlib import Path

import pytest

from matrix.cells import BARE, KERNELS, QUICK, cells
from matrix.qemu import QEMUS
from matrix.table import Seen, enter
from stepvisor.guest.distribution import FLAVOURS, RELEASES

ROOT = Path(__file__).resolve().parents[2]
HEAD = "# Title\n\n| QEMU | guest | versions | result | seen on |\n|---|---|---|---|---|\n"


def test_every_cell_is_there_once() -> None:
    found = [(cell.qemu, cell.kernel) for cell in cells()]

    assert len(set(found)) == len(found)
    assert set(found) == {(qemu, kernel) for qemu in QEMUS for kernel in (BARE, *KERNELS)}


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_can_be_fetched(kernel: str) -> None:
    release, _, flavour = kernel.partition("-")
    assert (release in RELEASES, flavour in FLAVOURS) == (True, True)


def test_tests_exist() -> None:
    """pytest finds every one of them, parameters and all."""
    wanted = {name for cell in (*cells(), *QUICK) for name in cell.tests}
    command = (sys.executable, "-m", "pytest", "--collect-only", "--quiet", *sorted(wanted))

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_boots_on_two_models(kernel: str) -> None:
    """The older one of those that can have its pages."""
    (cell, *_) = (cell for cell in cells() if cell.kernel == kernel)
    older = "neoverse-n1" if kernel.endswith("16k") else "cortex-a57"

    assert sum(f"test_cpu_models[{older}]" in name for name in cell.tests) == 1
    assert sum("cortex-a57" in name for name in cell.tests) == (5 if older == "cortex-a57" else 0)


def seen(qemu: str, kernel: str, date: str = "2026-01-01") -> Seen:
    return Seen(qemu, kernel, f"QEMU {qemu}.9", "7 tests pass", date)


def test_rows_are_entered_in_order_and_replaced(tmp_path: Path) -> None:
    page = tmp_path / "machines.md"
    page.write_text(HEAD, encoding="utf-8")
    for new in (
        *(seen("10", "6.12-cloud"), seen("7.2", "6.12-rt"), seen("7.2", BARE)),
        *(seen("7.2", "5.10-cloud"), seen("10", "6.12-cloud", "2026-02-02")),
    ):
        enter(new, page)

    assert page.read_text(encoding="utf-8") == HEAD + "".join(
        f"{row.row()}\n"
        for row in (
            seen("7.2", "5.10-cloud"),
            seen("7.2", "6.12-rt"),
            seen("7.2", BARE),
            seen("10", "6.12-cloud", "2026-02-02"),
        )
    )
