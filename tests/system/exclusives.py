"""Exclusive sequences of a kernel, found by objdump: an oracle for our own decoder."""

import re
import subprocess
from pathlib import Path

from stepvisor.guest.image import load_image
from stepvisor.symbols.table import SymbolTable

_LINE = re.compile(r"\s*([0-9a-f]+):\s+[0-9a-f]{8}\s+([a-z0-9.]+)")
_SEARCHED = 4 << 20
_CLOSE = 6


def first_exclusive(path: Path) -> int:
    """Link-time address of an instruction between a load-exclusive and its store-exclusive."""
    image = load_image(path)
    table = SymbolTable.from_image(image)
    start = table.text.start - table.link_base
    listing = subprocess.run(
        [
            *("aarch64-linux-gnu-objdump", "-D", "-b", "binary", "-m", "aarch64"),
            *(f"--start-address={start}", f"--stop-address={start + _SEARCHED}", str(path)),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = [match for match in map(_LINE.match, listing.splitlines()) if match]
    names = [match[2] for match in lines]
    for index, name in enumerate(names):
        if re.fullmatch(r"lda?xr[bh]?", name):
            following = names[index + 1 : index + _CLOSE]
            if any(re.fullmatch(r"stl?xr[bh]?", other) for other in following[1:]):
                return table.link_base + int(lines[index + 1][1], 16)
    raise AssertionError("no exclusive sequence found")
