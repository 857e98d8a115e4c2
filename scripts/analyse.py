"""Static analysis of the monitor's C by clang-tidy; `.clang-tidy` says which checks.

Usage: python scripts/analyse.py [FILE ...]
"""

import argparse
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ("analyse", "main")

_ROOT = Path(__file__).resolve().parent.parent
_SOURCE = _ROOT / "el2"
_CONFIG = _ROOT / ".clang-tidy"
_TIDY = Path(sys.executable).with_name("clang-tidy")

_OPTIONS = shlex.split("--quiet --experimental-custom-checks")
_COMPILE = shlex.split("""
    --target=aarch64-none-elf -std=gnu11 -ffreestanding -nostdlib -march=armv8-a
    -mgeneral-regs-only -mstrict-align
    -Xclang -analyzer-config -Xclang max-nodes=20000
""")
"""A tenth of what clang-analyzer would look at by itself: it takes a tenth of the time."""

_SECONDS = 300
"""For one file, which takes one or two: a loaded machine's gate does not fail for that."""


def analyse(path: Path) -> str:
    """What the analyser has against a file of the monitor: nothing, or its words."""
    command = [str(_TIDY), *_OPTIONS, f"--config-file={_CONFIG}", str(path)]
    command += ["--", *_COMPILE, f"-I{_SOURCE / 'include'}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if not result.returncode:
        return ""
    return result.stdout or result.stderr


def main() -> int:
    """Analyse; returns the exit code."""
    parser = argparse.ArgumentParser(description="static analysis of the monitor")
    parser.add_argument("files", nargs="*", type=Path, help="default: all of el2/")
    paths = parser.parse_args().files or list(_SOURCE.glob("*.c"))
    # The large ones first, to be done sooner in all.
    paths.sort(key=lambda path: -path.stat().st_size)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(analyse, paths))
    print("".join(found), end="")
    return 1 if any(found) else 0


if __name__ == "__main__":
    sys.exit(main())
