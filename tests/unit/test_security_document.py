"""docs/design/security.md says what is so: its budgets are the code's, its tests exist."""

import importlib
import re
from pathlib import Path

BUDGET = re.compile(r"^\| .* \| ([0-9]+)( MiB)? \| `([a-z_.]+)\.(\w+)` \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def document(root: Path) -> str:
    return (root / "docs/design/security.md").read_text(encoding="utf-8")


def test_budgets(root: Path) -> None:
    rows = BUDGET.findall(document(root))
    said = {f"{module}.{name}": int(n) << (20 if mib else 0) for n, mib, module, name in rows}
    found = {
        f"{module}.{name}": getattr(importlib.import_module(module), name)
        for _, _, module, name in rows
    }

    assert len(said) == document(root).count("| `stepvisor.")
    assert said == found


def test_tests(root: Path) -> None:
    named = TEST.findall(document(root))

    assert len(named) > 10
    for path, name in named:
        assert f"def {name}" in (root / path).read_text(encoding="utf-8")
