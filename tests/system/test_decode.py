"""Our decoder against objdump, over every instruction of a real kernel."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.image import load_image
from stepvisor.probe.decode import Flow, classify, is_load_exclusive, is_store_exclusive
from stepvisor.symbols.table import SymbolTable

pytestmark = pytest.mark.system

LINE = re.compile(r"\s*[0-9a-f]+:\s+([0-9a-f]{8})\s+([a-z][a-z0-9.]*)")

FLOWS = {
    Flow.IMMEDIATE: r"b|bl|b\.\w+|cbn?z|tbn?z",
    Flow.REGISTER: r"br|blr|ret|reta[ab]|bl?ra[ab]z?",
    Flow.TRAP: r"svc|hvc|smc|brk|hlt|dcps[123]|tcancel|eret|ereta[ab]|drps|wf[ei]t?",
}


def oracle(name: str) -> Flow:
    for flow, pattern in FLOWS.items():
        if re.fullmatch(pattern, name):
            return flow
    return Flow.LINEAR


def listing(files: GuestFiles) -> Iterator[tuple[int, str]]:
    """(word, mnemonic) of the kernel's text, each word once; data has no mnemonic."""
    image = load_image(files.kernel)
    table = SymbolTable.from_image(image)
    start, stop = (edge - table.link_base for edge in (table.text.start, table.text.stop))
    with subprocess.Popen(
        [
            *("aarch64-linux-gnu-objdump", "-D", "-z", "-b", "binary", "-m", "aarch64"),
            *(f"--start-address={start}", f"--stop-address={stop}", str(files.kernel)),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = set()
        for line in process.stdout:
            match = LINE.match(line)
            if match and match[1] not in seen:
                seen.add(match[1])
                yield int(match[1], 16), match[2]


def test_every_instruction(files: GuestFiles) -> None:
    wrong = []
    counts = dict.fromkeys(Flow, 0)
    for word, name in listing(files):
        expected = (
            oracle(name),
            re.fullmatch(r"lda?x[rp][bh]?", name) is not None,
            re.fullmatch(r"stl?x[rp][bh]?", name) is not None,
        )
        counts[expected[0]] += 1
        if (classify(word), is_load_exclusive(word), is_store_exclusive(word)) != expected:
            wrong.append(f"{word:08x} {name}")

    assert wrong == []
    assert sum(counts.values()) > 500_000
    assert all(counts.values())
