"""Build the bare-metal payloads of ``bench/guests``: what is measured without a kernel around it.

They are linked to the runtime of ``tests/guests``. `floor` takes the monitor's place under the
other payloads and does the least that an EL2 can do; see ``bench/guests/floor.S``.
"""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from stepvisor.errors import SetupError

__all__ = ("ROOT", "Payload", "build_floor", "build_payload", "compiler")

ROOT = Path(__file__).resolve().parents[1]
"""The source tree."""

sys.path.insert(0, str(ROOT / "el2"))

from build import BuildError, find_toolchain  # noqa: E402 - el2/build.py is no package

_SOURCE = ROOT / "bench" / "guests"
_TESTS = ROOT / "tests" / "guests"
_OUTPUT = ROOT / "build" / "bench"

_OPTIONS = shlex.split("""
    -std=gnu11 -O2 -g -ffreestanding -nostdlib -static -Werror -Wall -Wextra -Wconversion
    -mgeneral-regs-only -mstrict-align -mno-outline-atomics -fno-stack-protector -fno-pie
    -fno-common -fno-asynchronous-unwind-tables
    -Wl,--build-id=none -Wl,--entry=image_start -Wl,-z,max-page-size=4096
""")
_FLOOR_ADDRESS = 0x4020_0000
"""Where the monitor is linked, too."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A built payload."""

    path: Path
    """The raw image."""
    symbols: Mapping[str, int]
    """Physical addresses."""


def build_payload(name: str) -> Payload:
    """``bench/guests/NAME.c`` and ``NAME_*.S`` with the runtime.

    :raise SetupError: When there is no cross compiler, or it refuses.
    """
    runtime = sorted(p for p in (_TESTS / "runtime").iterdir() if p.suffix in {".c", ".S"})
    sources = [*runtime, _SOURCE / f"{name}.c", *sorted(_SOURCE.glob(f"{name}_*.S"))]
    return _link(name, sources, [f"-Wl,-T,{_TESTS / 'link.ld'}"])


def build_floor() -> Payload:
    """The payload in the monitor's place.

    :raise SetupError: When there is no cross compiler, or it refuses.
    """
    return _link("floor", [_SOURCE / "floor.S"], [f"-Wl,-Ttext={_FLOOR_ADDRESS:#x}"])


def compiler() -> Sequence[str]:
    """The cross compiler with the options that it always needs.

    :raise SetupError: When there is none.
    """
    try:
        return find_toolchain().linker
    except BuildError as error:
        raise SetupError(str(error)) from error


def _link(name: str, sources: Sequence[Path], options: Sequence[str]) -> Payload:
    _OUTPUT.mkdir(parents=True, exist_ok=True)
    elf, image = _OUTPUT / f"{name}.elf", _OUTPUT / f"{name}.bin"
    include = f"-I{_TESTS / 'runtime'}"
    _run([*compiler(), *_OPTIONS, include, *options, *map(str, sources), "-o", str(elf)])
    _run([*find_toolchain().objcopy, "-O", "binary", str(elf), str(image)])
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection), "linked without symbols"
        symbols = {s.name: int(s["st_value"]) for s in table.iter_symbols() if s.name}
    return Payload(image, symbols)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{shlex.join(command)}\n{done.stderr}{done.stdout}")
