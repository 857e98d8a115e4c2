"""Each header of the monitor stands alone: what it needs, it includes."""

import subprocess
from pathlib import Path

import pytest

INCLUDE = Path(__file__).resolve().parents[2] / "el2" / "include"
COMPILER = (
    "aarch64-linux-gnu-gcc",
    "-std=gnu11",
    "-ffreestanding",
    "-mgeneral-regs-only",
    "-fsyntax-only",
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wundef",
    "-Werror",
)


@pytest.mark.parametrize("header", sorted(path.name for path in INCLUDE.glob("*.h")))
def test_a_header_compiles_alone(header: str, tmp_path: Path) -> None:
    """Included twice, to see its guard at work."""
    source = tmp_path / "alone.c"
    source.write_text(f'#include "{header}"\n#include "{header}"\n', encoding="utf-8")

    command = [*COMPILER, f"-I{INCLUDE}", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.stderr == ""
    assert result.returncode == 0


@pytest.mark.parametrize("header", ["arch_gen.h", "wire_gen.h"])
def test_generated_constants_assemble(header: str, tmp_path: Path) -> None:
    """Every constant is a number to the assembler too."""
    lines = (INCLUDE / header).read_text(encoding="utf-8").splitlines()
    names = [line.split()[1] for line in lines if line.startswith("#define ") and "REG_U" in line]
    source = tmp_path / "constants.S"
    text = [f'#include "{header}"', *(f"\t.quad {name}" for name in names), ""]
    source.write_text("\n".join(text), encoding="utf-8")

    target = tmp_path / "constants.o"
    command = ["aarch64-linux-gnu-gcc", "-c", f"-I{INCLUDE}", str(source), "-o", str(target)]
    subprocess.run(command, check=True)

    assert len(names) > 50
