"""What the documents show is what happens.

Every ```python block of README.md and docs/ is a program that has to end well. Every ```console
block is run, in a shell, one `$ ` line after the other, and its output compared with what follows
that line. `...` stands for anything; addresses, times and large numbers may differ, and
`normalized` is the one place that says which.
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
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATTERNS = (
    (re.compile(r"0x[0-9a-f]+"), "0xN"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "ADDRESS"),
    (re.compile(r"\d+\.\d+(\.\d+)?"), "N.N"),
    (re.compile(r"\d[\d,]{2,}"), "N"),
    (re.compile(r"^ *N\.N +\d ", re.MULTILINE), "N.N CPU "),
    (re.compile(r"(/[\w.+~-]+){2,}"), "PATH"),
)


def blocks(kind: str) -> Iterator[tuple[str, int, str]]:
    """(document, line, text) of every block of a kind in the documents."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            if block[1] == kind:
                line = text[: block.start()].count("\n") + 2
                yield str(path.relative_to(ROOT)), line, block[2]


def commands() -> Iterator[tuple[str, str, str]]:
    """(document and line, command, output shown) of every command in the documents."""
    for path, first_line, text in blocks("console"):
        line = first_line
        for part in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
            first, _, output = part.partition("\n")
            if first:
                yield f"{path}:{line}", first, output
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


@pytest.mark.parametrize(
    "program", [pytest.param(text, id=f"{path}:{line}") for path, line, text in blocks("python")]
)
def test_a_program_of_the_documents_ends_well(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_documents_show_something() -> None:
    assert [command for _, command, _ in commands() if "stepvisor trace" in command]
