"""What the matrix runs, and the table of what passed."""

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
    for cell in (*cells(), *QUICK):
        for name in cell.tests:
            file, _, test = name.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            assert f"def {test.partition('[')[0]}(" in text or not test


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
