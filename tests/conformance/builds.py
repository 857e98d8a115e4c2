"""Monitor and guest of the suite, built from this very tree."""

import functools
import shutil
import tempfile
from pathlib import Path

import build_guests

import build

__all__ = ("guest_image", "monitor_image", "mutated_monitor")

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def _directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="stepvisor-conformance-"))


@functools.cache
def guest_image() -> bytes:
    """The guest."""
    built = build_guests.build_guests(_directory(), build.find_toolchain(), ["conformance"])
    return built["conformance"].with_suffix(".bin").read_bytes()


@functools.cache
def monitor_image() -> Path:
    """The monitor as it is."""
    return build.build(_directory() / "el2", build.find_toolchain(), ["-Werror"])


def mutated_monitor(output: Path, changes: dict[str, tuple[str, str]]) -> Path:
    """The monitor with one text replaced by another in each of these files of el2/."""
    source = output / "source"
    shutil.copytree(ROOT / "el2", source, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (old, new) in changes.items():
        text = (source / name).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} has {text.count(old)} times: {old}"
        (source / name).write_text(text.replace(old, new), encoding="utf-8")
    return _build_copy(source, output / "built")


def _build_copy(source: Path, output: Path) -> Path:
    """By the builder of the copy, which builds what lies beside it."""
    import importlib.util  # noqa: PLC0415 - only here
    import sys  # noqa: PLC0415 - likewise

    name = "stepvisor_mutant_build"
    spec = importlib.util.spec_from_file_location(name, source / "build.py")
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    sys.modules[name] = builder
    try:
        spec.loader.exec_module(builder)
        image: Path = builder.build(output, builder.find_toolchain())
    finally:
        del sys.modules[name]
    return image
