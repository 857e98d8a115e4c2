"""The programs of tests/programs, built for the guest."""

import functools
import subprocess
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

__all__ = ("build_program", "file_offset")

_SOURCE = Path(__file__).resolve().parents[1] / "programs"
_COMPILE = (
    *("aarch64-linux-gnu-gcc", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-ffreestanding"),
    *("-O1", "-Wall", "-Werror", "-fno-stack-protector"),
)


@functools.cache
def build_program(name: str) -> bytes:
    """The executable."""
    with tempfile.TemporaryDirectory(prefix="stepvisor-test-") as directory:
        output = Path(directory) / name
        subprocess.run([*_COMPILE, "-o", output, _SOURCE / f"{name}.c"], check=True)
        return output.read_bytes()


def file_offset(program: bytes, symbol: str) -> int:
    """Where `symbol` lies in the executable's file: what uprobe_events asks for."""
    with tempfile.TemporaryFile() as file:
        file.write(program)
        elf = ELFFile(file)
        (found,) = elf.get_section_by_name(".symtab").get_symbol_by_name(symbol)
        return next(iter(elf.address_offsets(found["st_value"])))
