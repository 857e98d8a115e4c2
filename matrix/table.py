"""The table of what was seen to pass, in docs/reference/machines.md."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ("Seen", "enter")

_PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "machines.md"
_ROW: Final = re.compile(r"\| (?P<qemu>\d[\d.]*) \| (?P<kernel>[^|]+) \|.*\|")


@dataclass(frozen=True, slots=True)
class Seen:
    """How one cell went."""

    qemu: str
    kernel: str
    versions: str
    """Exactly."""
    verdict: str
    date: str

    def row(self) -> str:
        """As the page has it."""
        return f"| {self.qemu} | {self.kernel} | {self.versions} | {self.verdict} | {self.date} |"


def enter(seen: Seen, page: Path = _PAGE) -> None:
    """Put one row into the page, in place of what it said of that QEMU and kernel."""
    lines = page.read_text(encoding="utf-8").splitlines()
    rows = {
        (match["qemu"], match["kernel"]): line for line in lines if (match := _ROW.fullmatch(line))
    }
    rest = [line for line in lines if not _ROW.fullmatch(line)]
    rows[seen.qemu, seen.kernel] = seen.row()
    ordered = [rows[key] for key in sorted(rows, key=_order)]
    page.write_text("\n".join([*rest, *ordered]) + "\n", encoding="utf-8")


def _order(key: tuple[str, str]) -> tuple[list[int], list[tuple[int, str]]]:
    """By QEMU's version, then by the kernel's; names behind numbers."""
    qemu, kernel = key
    parts = re.split(r"[.-]", kernel)
    return (
        [int(part) for part in qemu.split(".")],
        [(int(part), "") if part.isdigit() else (1000, part) for part in parts],
    )
