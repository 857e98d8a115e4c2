"""Puts the monitor into the wheel.

An editable install has none: there `make el2` builds `build/el2/monitor.bin`.
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
    """Compiles `el2/` and includes the result as package data."""

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
        builder = _load_builder(Path(self.root))
        self._output = tempfile.TemporaryDirectory(prefix="stepvisor-el2-")
        try:
            image = builder.build(Path(self._output.name), builder.find_toolchain())
        except builder.BuildError as error:
            sys.exit(f"stepvisor: {error}")
        build_data["force_include"][str(image)] = "stepvisor/_monitor/monitor.bin"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the wheel is written."""
        del build_data, artifact_path
        if version != "editable":
            self._output.cleanup()


def _load_builder(root: Path) -> ModuleType:
    """`el2/build.py`, which is no module of any package."""
    spec = importlib.util.spec_from_file_location("stepvisor_el2_build", root / "el2" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
