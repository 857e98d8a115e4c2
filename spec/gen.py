"""Write everything that is generated from the declarations in `spec/`.

Usage: python spec/gen.py [--check]

Without arguments writes the outputs; with --check writes nothing and exits 1 when one is stale.
"""

import argparse
import sys
import tomllib
from pathlib import Path

from generator import SpecError, emit_arch, emit_wire
from generator.arch import load_arch
from generator.encodings import encodings_header, encodings_python, load_encodings
from generator.wire import load_wire

__all__ = ("main", "outputs")

_SPEC = Path(__file__).resolve().parent


def outputs(spec: Path = _SPEC) -> dict[str, str]:
    """Path relative to the repository -> text, for every generated file. Raises SpecError."""
    wire = load_wire(tomllib.loads((spec / "wire.toml").read_text(encoding="utf-8")))
    arch = load_arch(tomllib.loads((spec / "arch.toml").read_text(encoding="utf-8")))
    text = (spec / "encodings.toml").read_text(encoding="utf-8")
    encodings = load_encodings(tomllib.loads(text))
    return {
        "docs/reference/registers.md": emit_arch.arch_markdown(arch),
        "docs/reference/wire.md": emit_wire.wire_markdown(wire),
        "el2/include/arch_gen.h": emit_arch.arch_header(arch),
        "el2/include/encodings_gen.h": encodings_header(encodings),
        "el2/include/wire_gen.h": emit_wire.wire_header(wire),
        "el2/layout_check.c": emit_wire.layout_check(wire),
        "src/stepvisor/_gen/arch.py": emit_arch.arch_python(arch),
        "src/stepvisor/_gen/encodings.py": encodings_python(encodings),
        "src/stepvisor/_gen/wire.py": emit_wire.wire_python(wire),
    }


def main(arguments: list[str] | None = None, root: Path = _SPEC.parent) -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description="generate code from spec/")
    parser.add_argument("--check", action="store_true", help="exit 1 when an output is stale")
    check = parser.parse_args(arguments).check
    try:
        stale = {root / path: text for path, text in outputs().items() if _stale(root / path, text)}
    except SpecError as error:
        print(f"spec: {error}", file=sys.stderr)
        return 2
    for path, text in stale.items():
        if check:
            print(f"{path.relative_to(root)} is stale: run `make gen`", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


def _stale(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


if __name__ == "__main__":
    sys.exit(main())
