"""Build the bare-metal payloads that the system tests boot: `NAME.elf` and `NAME.bin` for each.

Usage: python tests/guests/build_guests.py --output DIRECTORY [--only NAME]

A payload is `NAME.c`, and `NAME_*.S` where it needs assembly, or all of a directory `NAME`; the
runtime is linked to each.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent
sys.path.insert(0, str(_SOURCE.parent.parent / "el2"))

from build import BuildError, Toolchain, find_toolchain  # noqa: E402 - el2/build.py is no package

__all__ = ("build_guests",)

_COMPILE = shlex.split("""
    -std=gnu11 -O2 -g -ffreestanding -nostdlib -Werror
    -mgeneral-regs-only -mstrict-align -mno-outline-atomics
    -fno-stack-protector -fno-pie -fno-common -fno-asynchronous-unwind-tables
    -Wall -Wextra -Wconversion -Wshadow -Wundef -Wvla
""")
_LINK = shlex.split(
    "-static -nostdlib -Wl,--build-id=none -Wl,--entry=image_start -Wl,-z,max-page-size=4096"
)


def build_guests(
    output: Path, tools: Toolchain, only: Sequence[str] | None = None
) -> dict[str, Path]:
    """Compile and link every payload, or `only` some; name to path of its ELF file.

    Raises BuildError.
    """
    objects = output / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    runtime = _sources_in(_SOURCE / "runtime")
    payloads = {name: paths for name, paths in _payloads().items() if only is None or name in only}
    sources = [*runtime, *(path for paths in payloads.values() for path in paths)]

    def compile_one(source: Path) -> Path:
        target = objects / f"{source.parent.name}-{source.name}.o"
        include = f"-I{_SOURCE / 'runtime'}"
        _run([*tools.compiler, *_COMPILE, include, "-c", str(source), "-o", str(target)])
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        built = dict(zip(sources, pool.map(compile_one, sources), strict=True))
        return dict(
            pool.map(
                lambda name: (
                    name,
                    _link(tools, [built[s] for s in runtime + payloads[name]], output / name),
                ),
                payloads,
            )
        )


def _payloads() -> dict[str, list[Path]]:
    files = {
        path.stem: [path, *sorted(_SOURCE.glob(f"{path.stem}_*.S"))]
        for path in sorted(_SOURCE.glob("*.c"))
    }
    directories = {
        path.name: _sources_in(path)
        for path in sorted(_SOURCE.iterdir())
        if path.is_dir() and path.name != "runtime" and _sources_in(path)
    }
    return files | directories


def _sources_in(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix in {".c", ".S"})


def _link(tools: Toolchain, objects: Sequence[Path], stem: Path) -> Path:
    elf = stem.with_suffix(".elf")
    script = f"-Wl,-T,{_SOURCE / 'link.ld'}"
    _run([*tools.linker, *_LINK, script, *map(str, objects), "-o", str(elf)])
    _run([*tools.objcopy, "-O", "binary", str(elf), str(stem.with_suffix(".bin"))])
    return elf


def _run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{shlex.join(command)}\n{result.stderr}{result.stdout}")


def main() -> int:
    """Build; returns the exit code."""
    parser = argparse.ArgumentParser(description="build the bare-metal payloads of the tests")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", action="append", metavar="NAME", help="default: all of them")
    arguments = parser.parse_args()
    try:
        built = build_guests(arguments.output.resolve(), find_toolchain(), arguments.only)
    except BuildError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in built.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())
