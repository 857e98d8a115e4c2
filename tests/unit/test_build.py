"""The monitor's build finds a compiler or says what is missing."""

import importlib.machinery
import sys
from pathlib import Path

import pytest

import build


def test_the_cross_gcc_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CROSS_COMPILE", raising=False)

    assert build.find_toolchain().compiler[0] == "aarch64-linux-gnu-gcc"


def test_ziglang_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSS_COMPILE", "no-such-")
    spec = importlib.machinery.ModuleSpec("ziglang", None)
    monkeypatch.setattr("importlib.util.find_spec", {"ziglang": spec}.get)

    tools = build.find_toolchain()

    assert tools.compiler[:4] == (sys.executable, "-m", "ziglang", "cc")
    assert tools.objcopy[-1] == "objcopy"


def test_no_compiler_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSS_COMPILE", "no-such-")
    monkeypatch.setattr("importlib.util.find_spec", {}.get)

    with pytest.raises(build.BuildError, match=r"no-such-gcc is not.*gcc-aarch64-linux-gnu"):
        build.find_toolchain()


def test_what_the_compiler_says_is_passed_on(tmp_path: Path) -> None:
    tools = build.find_toolchain()

    with pytest.raises(build.BuildError, match="-fno-such-option"):
        build.build(tmp_path, tools, ["-fno-such-option"])


def test_the_image_is_an_arm64_kernel_image(monitor_build: Path) -> None:
    """As Linux Documentation/arch/arm64/booting.rst has it: QEMU's loader must take it for one."""
    image = (monitor_build / "monitor.bin").read_bytes()

    assert image[56:60] == b"ARM\x64"
    assert int.from_bytes(image[8:16], "little") == 0x20_0000
