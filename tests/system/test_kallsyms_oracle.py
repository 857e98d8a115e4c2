"""Symbols read from an Image against what the running kernel says of itself."""

import base64
import gzip
import mmap
from collections import Counter
from pathlib import Path

import pytest
from plain_guest import KERNEL_LOAD_ADDRESS, RAM_BASE, PlainGuest

from stepvisor.guest.distribution import fetch
from stepvisor.guest.image import load_image
from stepvisor.symbols import SymbolTable, find_kernel_base, translate

pytestmark = pytest.mark.system


@pytest.mark.parametrize("release", ["6.12", "6.1"])
def test_every_symbol_is_the_kernels_own(release: str, tmp_path: Path) -> None:
    """Names, types and addresses, all of them, against /proc/kallsyms."""
    files = fetch(release=release)
    with PlainGuest(files, tmp_path, append="nokaslr") as guest:
        guest.wait_ready()
        packed, code = guest.run("gzip -1 -c /proc/kallsyms | base64 -w0")
    assert code == 0
    kernels = Counter(gzip.decompress(base64.b64decode(packed)).decode().splitlines())

    table = SymbolTable.from_image(load_image(files.kernel))
    ours = Counter(f"{s.address:016x} {s.type} {s.name}" for s in table)

    assert sum(ours.values()) > 40_000
    assert ours == kernels


@pytest.mark.parametrize(
    ("release", "cpu"),
    [("6.12", "max,pauth-impdef=on"), ("6.1", "max,pauth-impdef=on"), ("6.12", "cortex-a57")],
)
def test_kaslr_is_undone(release: str, cpu: str, tmp_path: Path) -> None:
    """The base found in the page tables against /proc/kallsyms of a kernel with KASLR on."""
    files = fetch(release=release)
    image = load_image(files.kernel)
    table = SymbolTable.from_image(image)
    with PlainGuest(files, tmp_path, cpu=cpu) as guest:
        guest.wait_ready()
        line, _ = guest.run("grep -w vfs_read /proc/kallsyms")
        kernels = int(line.split()[0], 16)
        memory = _Memory(guest.ram)
        found = None
        while found is None:  # with page-table isolation and the vCPU at EL0 there is no answer
            registers = guest.registers("TTBR1_EL1", "TCR_EL1", "VBAR_EL1")
            found = _base(memory, registers, table, hint=False)
        assert _base(memory, registers, table, hint=True) == found
        running = table.rebased(found)
        physical = translate(
            memory.read, registers["TTBR1_EL1"], registers["TCR_EL1"], running.text.start
        )

    assert kernels != table.lookup("vfs_read").address
    assert running.lookup("vfs_read").address == kernels
    assert physical == KERNEL_LOAD_ADDRESS + table.text.start - table.link_base


class _Memory:
    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)

    def read(self, address: int, size: int) -> bytes:
        start = address - RAM_BASE
        return self._map[start : start + size] if start >= 0 else b""


def _base(
    memory: _Memory, registers: dict[str, int], table: SymbolTable, *, hint: bool
) -> int | None:
    return find_kernel_base(
        memory.read,
        ttbr1=registers["TTBR1_EL1"],
        tcr=registers["TCR_EL1"],
        physical_base=KERNEL_LOAD_ADDRESS,
        text_offset=table.text.start - table.link_base,
        vbar=registers["VBAR_EL1"] if hint else 0,
        vectors_offset=table.lookup("vectors").address - table.link_base,
    )
