"""What the documents show is what happens.

Every ```console block of README.md and docs/ is run, in a shell, one `$ ` line after the other, and
its output compared with what follows that line. `...` stands for anything; addresses, times and
large numbers may differ, and `normalized` is the one place that says which.
"""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATTERNS = (
    (re.compile(r"0x[0-9a-f]+"), "0xN"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "ADDRESS"),
    (re.compile(r"\d+\.\d+(\.\d+)?"), "N.N"),
    (re.compile(r"\d[\d,]{2,}"), "N"),
    (re.compile(r"^ *N\.N +\d ", re.MULTILINE), "N.N CPU "),
    (re.compile(r"(/[\w.+~-]+){2,}"), "PATH"),
)


def commands() -> Iterator[tuple[str, str, str]]:
    """(document and line, command, output shown) of every command in the documents."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            line = text[: block.start()].count("\n") + 2
            for part in re.split(r"^(?=\$ )", block[1], flags=re.MULTILINE):
                first, _, output = part.partition("\n")
                if first:
                    yield f"{path.relative_to(ROOT)}:{line}", first, output
                line += part.count("\n")


def normalized(output: str) -> str:
    """Without what differs from run to run and from machine to machine."""
    for pattern, replacement in PATTERNS:
        output = pattern.sub(replacement, output)
    return output


@pytest.mark.parametrize(
    ("command", "shown"), [pytest.param(*rest, id=place) for place, *rest in commands()]
)
def test_a_command_prints_what_the_document_shows(command: str, shown: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    assert command.startswith("$ "), "a console block begins with a command"

    result = subprocess.run(
        ["bash", "-c", command[2:]],
        env={**os.environ, "PATH": path},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    same = doctest.OutputChecker().check_output(
        normalized(shown),
        normalized(result.stdout),
        doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert same, f"{command}\nshown:\n{shown}\nprinted:\n{result.stdout[:3000]}"


def test_the_documents_show_something() -> None:
    assert [command for _, command, _ in commands() if "stepvisor trace" in command]
