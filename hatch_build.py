"""Puts the monitor, and the guest of its conformance suite, into the wheel.

An editable install has none: there `make el2` builds them into `build/el2`.
"""

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ZIGLANG = "ziglang==0.16.0"
"""The compiler where no cross gcc is on PATH; zig is not stable yet, hence one version."""


class MonitorBuildHook(BuildHookInterface[BuilderConfig]):
    """Compiles `el2/` and the guest, and includes the results as package data."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs from the package index on this machine."""
        builder = _load_builder(Path(self.root))
        try:
            builder.find_toolchain()
        except builder.BuildError:
            return [_ZIGLANG]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if version == "editable":
            return
        self._output = tempfile.TemporaryDirectory(prefix="stepvisor-el2-")
        for image in self._build(Path(self._output.name)):
            build_data["force_include"][str(image)] = f"stepvisor/_monitor/{image.name}"

    def _build(self, output: Path) -> tuple[Path, Path]:
        builder, guests = _load_builder(Path(self.root)), _load_guest_builder(Path(self.root))
        try:
            tools = builder.find_toolchain()
            monitor = builder.build(output, tools)
            guest = guests.build_guests(output / "guests", tools, ["conformance"])["conformance"]
        except (builder.BuildError, guests.BuildError) as error:
            sys.exit(f"stepvisor: {error}")
        return monitor, guest.with_suffix(".bin")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the wheel is written."""
        del build_data, artifact_path
        if version != "editable":
            self._output.cleanup()


def _load_builder(root: Path) -> ModuleType:
    return _load("stepvisor_el2_build", root / "el2" / "build.py")


def _load_guest_builder(root: Path) -> ModuleType:
    return _load("stepvisor_build_guests", root / "tests" / "guests" / "build_guests.py")


def _load(name: str, path: Path) -> ModuleType:
    """A Python file that is no module of any package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
