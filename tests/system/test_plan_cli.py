"""`stepvisor plan`, as a user runs it."""

import json
from collections import Counter

import numpy as np
import pytest
from command_line import CommandLine

from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.image import load_image
from stepvisor.probe.decode import is_load_exclusive, is_store_exclusive
from stepvisor.symbols.table import SymbolTable

pytestmark = pytest.mark.system


def test_plans_from_the_image(command_line: CommandLine) -> None:
    done = command_line.run("plan", "vfs_read", "vfs_read+0x8", "--json")
    first, second = (json.loads(line) for line in done.stdout.splitlines())

    assert (done.returncode, done.stderr) == (0, "")
    assert (first["probe"], first["instruction"], first["plan"]) == ("vfs_read", "nop", "emulate")
    assert (second["instruction"], second["plan"]) == ("paciasp", "emulate")
    assert int(second["address"], 16) - int(first["address"], 16) == 8


def test_text_says_that_the_image_is_not_what_runs(command_line: CommandLine) -> None:
    done = command_line.run("plan", "vfs_read")

    assert done.returncode == 0
    assert "  nop\n  emulate: it changes no register" in done.stdout
    assert "--live shows what runs" in done.stdout


def test_a_function_that_the_compiler_has_renamed(
    command_line: CommandLine, files: GuestFiles
) -> None:
    """What GCC calls `name.isra.0` or `name.constprop.0` is found by its name in the source."""
    names = Counter(symbol.name for symbol in SymbolTable.from_image(load_image(files.kernel)))
    plain = Counter(name.partition(".")[0] for name in names.elements())
    renamed = next(
        name
        for name, count in names.items()
        if count == 1 and name.endswith(".isra.0") and plain[name.removesuffix(".isra.0")] == 1
    )
    by_name, whole = (
        command_line.run("plan", name, "--json")
        for name in (renamed.removesuffix(".isra.0"), renamed)
    )

    assert (by_name.returncode, by_name.stderr) == (0, "")
    assert by_name.stdout == whole.stdout
    assert json.loads(by_name.stdout)["probe"] == renamed


def test_plans_of_the_running_kernel(command_line: CommandLine) -> None:
    done = command_line.run("plan", "vfs_read", "--stats", "--live", "--json", "--cpus", "1")
    plan, stats = (json.loads(line) for line in done.stdout.splitlines())

    assert (plan["instruction"], plan["plan"]) == ("mov x9, x30", "emulate")
    assert stats["entries"]["emulated"] >= 0.99 * stats["entries"]["total"]
    assert stats["instructions"]["emulated"] >= 0.6 * stats["instructions"]["total"]
    assert command_line.wait_gone() == []


def test_a_probe_in_an_exclusive_sequence(command_line: CommandLine, files: GuestFiles) -> None:
    image = load_image(files.kernel)
    table = SymbolTable.from_image(image)
    start, stop = (edge - table.link_base for edge in (table.text.start, table.text.stop))
    words = np.frombuffer(image.data[start:stop], "<u4").tolist()
    index = next(
        i
        for i, word in enumerate(words)
        if is_load_exclusive(word) and is_store_exclusive(words[i + 2])
    )
    offset = start + 4 * index + 4
    done = command_line.run("plan", hex(table.link_base + offset), "--json")
    plan = json.loads(done.stdout)

    assert done.returncode == 0
    assert plan["plan"] in {"emulate", "step"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan"], "name a PROBE"),
        (["plan", "vfs_raed"], "did you mean vfs_read"),
        (["plan", "vfs_read+0x3"], "instructions are 4 bytes"),
        (["trace", "-e", "vfs_read", "--plan", "guess"], "invalid choice"),
    ],
)
def test_mistakes(command_line: CommandLine, arguments: list[str], words: str) -> None:
    done = command_line.run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wish_that_cannot_be_met(command_line: CommandLine) -> None:
    """Where the registers of the task that goes are stored."""
    done = command_line.run("trace", "-e", "cpu_switch_to+0x18", "--plan", "emulate")

    assert done.returncode == 2
    assert "cannot be emulated" in done.stderr
    assert command_line.wait_gone() == []
