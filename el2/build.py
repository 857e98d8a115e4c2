"""Build the monitor: `monitor.elf` with debug information and `monitor.bin`, which QEMU loads.

Usage: python el2/build.py [--output DIRECTORY] [--werror]

One file knows how: `make el2`, the wheel and the tests all come here. It needs Python alone and one
compiler: the cross gcc (`CROSS_COMPILE`, by default aarch64-linux-gnu-) when it is on PATH, else
the PyPI package `ziglang`.
"""

import argparse
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ("BuildError", "Toolchain", "build", "find_toolchain")

_SOURCE = Path(__file__).resolve().parent
_OFFSETS = "asm_offsets.c"
_IMAGE = "monitor.bin"
_OFFSET = re.compile(r"->(?P<name>\w+) [#$]?(?P<value>-?\d+)")

_COMPILE = shlex.split("""
    -std=gnu11 -O2 -g -ffreestanding -nostdlib
    -mgeneral-regs-only -mstrict-align -mno-outline-atomics
    -fno-stack-protector -fno-pie -fno-common -fno-asynchronous-unwind-tables
    -Wall -Wextra -Wconversion -Wshadow -Wundef -Wvla
""")
_LINK = shlex.split(
    "-static -nostdlib -Wl,--build-id=none -Wl,--entry=image_start -Wl,-z,max-page-size=4096"
)


class BuildError(Exception):
    """No compiler, or one that refused; the message says what to do or what it said."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler driver and an objcopy, each with the options that it always needs."""

    compiler: tuple[str, ...]
    linker: tuple[str, ...]
    objcopy: tuple[str, ...]


def find_toolchain() -> Toolchain:
    """The cross gcc, or ziglang. Raises BuildError."""
    prefix = os.environ.get("CROSS_COMPILE", "aarch64-linux-gnu-")
    if shutil.which(f"{prefix}gcc"):
        gcc = f"{prefix}gcc"
        return Toolchain((gcc, "-march=armv8-a"), (gcc, "-no-pie"), (f"{prefix}objcopy",))
    if importlib.util.find_spec("ziglang"):
        zig = (sys.executable, "-m", "ziglang")
        # clang refuses `smc` on a core without EL3; zig instruments C for undefined behaviour, and
        # its -mcpu overrides -mgeneral-regs-only: vector registers are the guest's.
        target = ("-target", "aarch64-freestanding-none", "-mcpu=generic+el3+el2vmsa-fp_armv8-neon")
        compiler = (*zig, "cc", *target, "-fno-sanitize=all")
        return Toolchain(compiler, compiler, (*zig, "objcopy"))
    raise BuildError(
        f"no compiler for the EL2 monitor: {prefix}gcc is not on PATH and the Python package "
        "ziglang is not installed; install one of them (Debian: apt install gcc-aarch64-linux-gnu)"
    )


def build(output: Path, tools: Toolchain, options: Sequence[str] = ()) -> Path:
    """Compile and link everything in this directory; returns the path of `monitor.bin`.

    `options` are further compiler options. Two builds into one directory do not meet: each works
    in a directory of its own and moves the results into place. Raises BuildError.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".build-") as name:
        scratch = Path(name)
        include = (f"-I{_SOURCE / 'include'}", f"-I{scratch}")
        compiler = (*tools.compiler, *_COMPILE, *options, *include)
        _write_offsets(compiler, scratch)
        for path in _link(tools, _compile_all(compiler, scratch), scratch):
            path.replace(output / path.name)
    return output / _IMAGE


def _compile_all(compiler: Sequence[str], scratch: Path) -> list[Path]:
    names = sorted(path.name for path in (*_SOURCE.glob("*.c"), *_SOURCE.glob("*.S")))
    names.remove(_OFFSETS)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda name: _compile(compiler, name, scratch), names))
    return [scratch / f"{name}.o" for name in names]


def _write_offsets(compiler: Sequence[str], output: Path) -> None:
    """Turn the markers in the compiled form of `asm_offsets.c` into `asm_offsets.h`."""
    assembly = output / "asm_offsets.s"
    # Debug information would carry the markers a second time, as text.
    _run([*compiler, "-g0", "-S", str(_SOURCE / _OFFSETS), "-o", str(assembly)])
    found = _OFFSET.findall(assembly.read_text(encoding="utf-8"))
    if not found:
        raise BuildError(f"{_OFFSETS}: the compiler left no offsets in {assembly}")
    lines = [f"#define {name} {value}\n" for name, value in found]
    (output / "asm_offsets.h").write_text("".join(lines), encoding="utf-8")


def _compile(compiler: Sequence[str], name: str, objects: Path) -> None:
    _run([*compiler, "-c", str(_SOURCE / name), "-o", str(objects / f"{name}.o")])


def _link(tools: Toolchain, objects: Sequence[Path], output: Path) -> tuple[Path, Path]:
    elf, image = output / "monitor.elf", output / _IMAGE
    script = f"-Wl,-T,{_SOURCE / 'link.ld'}"
    _run([*tools.linker, *_LINK, script, *map(str, objects), "-o", str(elf)])
    _run([*tools.objcopy, "-O", "binary", str(elf), str(image)])
    return elf, image


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{shlex.join(command)}\n{result.stderr}{result.stdout}")
    sys.stderr.write(result.stderr)


def main() -> int:
    """Build; returns the exit code."""
    parser = argparse.ArgumentParser(description="build the EL2 monitor")
    default = _SOURCE.parent / "build" / "el2"
    parser.add_argument("--output", type=Path, default=default, help="default: build/el2")
    parser.add_argument("--werror", action="store_true", help="warnings are errors")
    arguments = parser.parse_args()
    try:
        options = ["-Werror"] if arguments.werror else []
        image = build(arguments.output.resolve(), find_toolchain(), options)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{image}: {image.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
