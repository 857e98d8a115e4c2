"""Imports point downward only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

LAYERS = (
    {"__main__"},
    {"cli"},
    {"conformance"},
    {"views"},
    {"analysis"},
    {"api", "session"},
    {"trace", "conformance"},
    {"probe"},
    {"symbols", "monitor"},
    {"machine", "guest"},
    {"arch"},
    {"inputs"},
    {"errors"},
    {"_gen", "budget", "plain"},
)
"""From the top. Units of one layer do not import each other."""

RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
WIRE_READERS = {"monitor", "arch", "machine"}
"""Who may import `_gen.wire`: machine reads the memory layout from it, nobody above monitor."""


def imports(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything of ours that a file imports."""
    parts = ("stepvisor", *path.relative_to(package).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = [node.module] if node.module else []
            if node.level:
                stem = [*parts[: -node.level], *stem]
            names = [".".join([*stem, alias.name]) for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.startswith("stepvisor."))


def unit_of(dotted: str) -> str:
    return dotted.split(".")[1]


def violations(package: Path) -> list[str]:
    """Every import that breaks a rule, as `file:line: reason`."""
    found = []
    for path in sorted(package.rglob("*.py")):
        importer = path.relative_to(package).with_suffix("").parts[0]
        if importer == "__init__":
            continue  # the face of the package shows what is below it
        if importer not in RANK:
            found.append(f"{path}: {importer} is in no layer")
            continue
        for line, name in imports(path, package):
            if reason := forbidden(importer, name):
                found.append(f"{path}:{line}: {reason}")
    return found


def forbidden(importer: str, name: str) -> str | None:
    imported = unit_of(name)
    if imported not in RANK:
        return None if imported.startswith("__") else f"{imported} is in no layer"
    if imported != importer and RANK[imported] <= RANK[importer]:
        return f"{importer} imports {name}, which is not below it"
    if name.startswith("stepvisor._gen.wire") and importer not in WIRE_READERS:
        return f"{importer} imports {name}: only monitor knows the wire"
    if importer == "monitor" and imported in {"guest", "symbols"}:
        return f"monitor imports {name}: it must not know Linux"
    return None


def test_imports_point_downward(root: Path) -> None:
    assert violations(root / "src" / "stepvisor") == []


@pytest.mark.parametrize(
    ("path", "source", "reason"),
    [
        ("arch/a.py", "from stepvisor.machine import x", "arch imports stepvisor.machine.x"),
        ("arch/a.py", "import stepvisor.cli.trace", "arch imports stepvisor.cli.trace"),
        ("arch/a.py", "from ..cli import trace", "arch imports stepvisor.cli.trace"),
        ("monitor/a.py", "from stepvisor.guest.image import x", "it must not know Linux"),
        ("symbols/a.py", "def f():\n  import stepvisor.monitor", "symbols imports"),
        ("probe/a.py", "from stepvisor._gen import wire", "only monitor knows the wire"),
        ("probe/a.py", "from stepvisor._gen.wire import Plan", "only monitor knows the wire"),
        ("novel/a.py", "", "novel is in no layer"),
        ("cli/a.py", "from stepvisor.novel import x", "novel is in no layer"),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, path: str, source: str, reason: str) -> None:
    file = tmp_path / path
    file.parent.mkdir()
    file.write_text(source, encoding="utf-8")

    (found,) = violations(tmp_path)

    assert reason in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("monitor/a.py", "from stepvisor._gen.wire import CONTROL"),
        ("monitor/a.py", "from .ring import x"),
        ("cli/a.py", "import stepvisor.views.text\nfrom stepvisor import errors\nimport json"),
        ("__init__.py", "from stepvisor.trace.session import x"),
    ],
)
def test_a_downward_import_is_not(tmp_path: Path, path: str, source: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(source, encoding="utf-8")

    assert violations(tmp_path) == []
