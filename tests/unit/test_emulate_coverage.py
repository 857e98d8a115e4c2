"""Plans explained and counted, on a kernel made up for it."""

import json
import struct

import numpy as np
import pytest

from stepvisor.cli import plan as cli
from stepvisor.errors import GuestConfigError
from stepvisor.probe.coverage import Share, explain, survey
from stepvisor.probe.place import Code
from stepvisor.probe.plan import Method
from stepvisor.probe.resolve import resolve
from stepvisor.symbols.table import SymbolTable

BASE = 0xFFFF_8000_8000_0000
TEXT = 0x1_0000
NOP, STR, RET, LDXR, STXR, SVC = (
    *(0xD503201F, 0xF9000041, 0xD65F03C0, 0xC85F7C41, 0xC8047C41, 0xD4000001),
)
WORDS = (NOP, STR, RET, SVC, LDXR, NOP, STXR, RET)


def table() -> SymbolTable:
    symbols = [
        ("_text", "T", 0),
        ("_stext", "T", TEXT),
        ("first", "T", TEXT),
        ("second", "t", TEXT + 12),
        ("_etext", "T", TEXT + 4 * len(WORDS)),
        ("value", "D", TEXT + 4 * len(WORDS)),
    ]
    names, types, offsets = zip(*symbols, strict=True)
    addresses = np.array(offsets, np.uint64) + np.uint64(BASE)
    return SymbolTable(names, "".join(types), addresses, BASE, BASE + 0x2_0000)


def code() -> Code:
    memory = struct.pack(f"<{len(WORDS)}I", *WORDS)
    return Code(
        lambda address, size: memory[address - TEXT :][:size],
        virtual_base=BASE,
        physical_base=0,
        text=range(TEXT, TEXT + len(memory)),
    )


@pytest.mark.parametrize(
    ("text", "word", "method", "reason"),
    [
        ("first", NOP, Method.EMULATE, "changes no register"),
        ("first+4", STR, Method.STEP, "a store"),
        ("second", SVC, Method.STEP, "exception"),
        ("second+0x4", LDXR, Method.STEP, "exclusive"),
    ],
)
def test_explanations(text: str, word: int, method: Method | None, reason: str) -> None:
    target = resolve(table(), text)
    found = explain(code(), target)

    assert (found.word, found.method) == (word, method)
    assert found.address == BASE + target.offset
    assert reason in found.reason
    shown = json.loads(cli._json(found))
    assert shown["plan"] == (method.value if method else None)
    assert f"{found.address:016x} {target.label}\n" in cli._text(found)


def test_survey() -> None:
    """Two NOPs and two RETs are emulated; of the two functions, the first one's entry."""
    coverage = survey(code(), code().words(), table())

    assert (coverage.entries, coverage.instructions) == (Share(2, 1), Share(8, 4))
    assert sorted(coverage.others.values()) == [1, 1, 2]
    text = cli._text_coverage(coverage)
    assert "function entries  50.00% emulated (1 of 2)" in text
    assert json.loads(cli._json_coverage(coverage))["instructions"] == {"total": 8, "emulated": 4}


def test_a_share_of_nothing() -> None:
    assert Share(0, 0).fraction == 0


def test_nothing_asked_for() -> None:
    arguments = cli.argparse.Namespace(probes=[], stats=False)

    with pytest.raises(GuestConfigError, match="name a PROBE"):
        cli.run(arguments)
