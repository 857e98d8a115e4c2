"""What leaves for the terminal cannot drive it, and never fails for its encoding."""

import ast
import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import hostile_kernels
import pytest

from stepvisor.cli.console_filter import ConsoleFilter
from stepvisor.cli.output import console_writer, protected, write_console
from stepvisor.errors import MachineError, StepvisorError, SymbolError
from stepvisor.plain import plain, plain_bytes, to_json

ATTACKS = (
    "\x1b]0;owned\a",
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b[31mred\x1b[8mhidden\x1b[0m",
    "\x1b[2J\x1b[H",
    "\x1b[6n",
    "\x1bP+q544e\x1b\\",
    "\x9b31m\x9d0;owned\x9c",
    "a\u202etxt.exe\u202c",
    "zero\u200bwidth\u2060\ufeff\u00ad",
    "\u2066isolate\u2069",
    "filler\u3164\u115f\ufe0f\U000e0041",
    "del\x7f nul\0 bell\a",
    "back\b\b\bspace\rreturn\vform\f",
    "half \ud800 \udcff",
    "line\u2028paragraph\u2029",
)
ALL = "".join(ATTACKS)
HARMFUL = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def harmful(text: str) -> set[str]:
    """Characters by their Unicode category, newline and tab aside."""
    return {char for char in text if unicodedata.category(char) in HARMFUL and char not in "\n\t"}


@pytest.mark.parametrize("attack", ATTACKS)
def test_plain(attack: str) -> None:
    assert not harmful(plain(attack))
    assert plain(attack) != attack
    assert plain(plain(attack)) == plain(attack)


@pytest.mark.parametrize("text", ["", "plain", "ünïcode 漢字 🐌", "a b", "back\\slash", "'\""])
def test_printable_text_stays(text: str) -> None:
    assert plain(text) == text


def test_what_is_to_be_kept_stays() -> None:
    assert plain("a\nb\tc\x1b", keep="\n\t") == "a\nb\tc\\x1b"
    assert plain_bytes(b"a\x1b\xff\n") == r"a\x1b\xff\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_errors_are_printable(attack: str) -> None:
    for error in (StepvisorError(attack), SymbolError(attack, (attack,)), MachineError(attack)):
        assert not harmful(str(error))


def test_json_is_printable_and_says_the_same() -> None:
    text = to_json({"name": ALL})

    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == {"name": ALL}


class Terminal(io.TextIOWrapper):
    """Of an encoding, and as strict as can be."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, errors="strict", write_through=True)

    def shown(self) -> str:
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437"])
def test_everything_printed_is_harmless(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(encoding), Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)

    with protected():
        print(ALL)  # noqa: T201 - what is tested
        sys.stderr.write("ü 漢 🐌\n")
        sys.stderr.write(ALL)
        sys.stdout.writelines([ALL, "\n"])

    assert (sys.stdout, sys.stderr) == (out, err)
    assert not harmful(out.shown())
    assert not harmful(err.shown())


def test_a_guests_words_end_printable(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    with protected():
        write_console(sys.stdout, ALL + "ü")

    assert "owned" in out.shown()
    assert not harmful(re.sub(r"\x1b\[[0-9;]*m|[\b\r]", "", out.shown()))


def test_colours_and_line_editing_stay() -> None:
    words = "\x1b[1;34mbin\x1b[m \x1b[0;38;5;12mx\x1b[39;49m\r\x1b[K$ ls\b\b\x1b[J\x1b[3D\x1b[C\n\t"
    console = ConsoleFilter()

    assert console.feed(words.encode()) + console.finish() == words + "\x1b[0m"


@pytest.mark.parametrize(
    "words",
    [
        "\x1b[8mx",
        "\x1b[5m",
        "\x1b[31;8m",
        "\x1b[38;2;0;0;0m",
        "\x1b[2J",
        "\x1b[3J",
        "\x1b[H",
        "\x1b[5A",
        "\x1b[6n",
        "\x1b[c",
        "\x1b[?1049h",
        "\x1b[?25l",
        "\x1b[10;10r",
        "\x1b[0$p",
        "\x1b[9999D",
        "\x1b[;;;;;;;;;;;;m",
    ],
)
def test_other_sequences_are_left_out(words: str) -> None:
    console = ConsoleFilter()

    assert console.feed(words.encode()) + console.finish() in {"", "x"}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_make_no_difference(attack: str, size: int) -> None:
    data = ("ü" + attack + "漢\x1b[31m").encode("utf-8", "surrogatepass") + b"\xff\xc3"
    whole, pieces = ConsoleFilter(), ConsoleFilter()
    expected = whole.feed(data) + whole.finish()

    found = "".join(pieces.feed(data[at : at + size]) for at in range(0, len(data), size))

    assert found + pieces.finish() == expected
    assert not harmful(re.sub(r"\x1b\[[0-9;]*m|[\b\r]", "", expected))


def test_a_sequence_without_end_is_not_kept_for_ever() -> None:
    console = ConsoleFilter()
    shown = "".join(console.feed(b"\x1b[" + b"1" * 1000) for _ in range(10))

    assert len(shown) > 9000


def test_raw_console_is_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    data = b"\x1b]0;owned\a\xff"
    with protected():
        show = console_writer(sys.stdout, raw=True)
        show(data)
        show(b"")

    assert out.bytes.getvalue() == data


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "stepvisor", *arguments],
        capture_output=True,
        env={"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", **environment},
        check=False,
    )


@pytest.mark.parametrize("json_wanted", [False, True])
def test_hostile_symbols_on_a_terminal_of_ascii(tmp_path: Path, *, json_wanted: bool) -> None:
    text = "Tevil\u009b31mRED\u202etxt\x7f".encode()
    kernel = tmp_path / "ünder.Image"
    kernel.write_bytes(hostile_kernels.one_name(600, text).data)
    more = ("--json",) if json_wanted else ()

    done = run("symbols", "*", "--kernel", str(kernel), *more, LC_ALL="C")

    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode("ascii").splitlines()
    assert len(lines) == 600
    assert all(line.isprintable() for line in lines)


def test_file_names_on_a_terminal_of_ascii(tmp_path: Path) -> None:
    name = "ü\x1b]0;owned\a\u202e"

    done = run("symbols", "x", "--kernel", str(tmp_path / name), LC_ALL="C")

    assert done.returncode == 2
    (line,) = done.stderr.decode("ascii").splitlines()
    assert line.isprintable()
    assert "No such file" in line


WAYS_AROUND = {"__stdout__", "__stderr__"}
"""Of the interpreter's own streams."""
OWN_WAYS = {"cli/output.py"}
OWN_JSON = {"plain.py", "machine/qmp.py", "guest/distribution.py"}
"""The function itself; what QEMU reads; what this package reads again."""


def ways_around(path: Path, name: str) -> Iterator[str]:
    """Whatever could write to a terminal but for `cli/output.py`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if text in {"json.dumps", "json.dump"} and name not in OWN_JSON:
                yield f"{name}:{node.lineno}: {text}; use plain.to_json"
            raw = text in {"os.write", "sys.stdout.buffer", "sys.stderr.buffer"}
            if (raw or node.attr in WAYS_AROUND) and name not in OWN_WAYS:
                yield f"{name}:{node.lineno}: {text}; print it"
        if isinstance(node, ast.Constant) and node.value in {"/dev/tty", "/dev/stdout"}:
            yield f"{name}:{node.lineno}: {node.value}"
        drawn = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rich")
        if drawn and name != "cli/progress.py":
            yield f"{name}:{node.lineno}: only cli/progress.py draws"


def test_nothing_writes_around_the_one_way(root: Path) -> None:
    package = root / "src" / "stepvisor"
    files = [path for path in package.rglob("*.py") if "_gen" not in path.parts]
    found = [way for path in files for way in ways_around(path, str(path.relative_to(package)))]

    assert len(files) > 100
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.stdout.buffer.write(b'')",
        "import os\nos.write(1, b'')",
        "import sys\nprint(file=sys.__stderr__)",
        "import json\nprint(json.dumps(1))",
        "from rich.console import Console",
        "open('/dev/tty')",
    ],
)
def test_a_way_around_is_found(tmp_path: Path, source: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(source)

    assert list(ways_around(path, "cli/a.py"))
