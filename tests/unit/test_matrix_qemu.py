"""QEMUs of other releases: unpacked beside their libraries, run by their own dynamic linker."""

import subprocess
from pathlib import Path

import pytest
from fake_packages import make_deb

from matrix import qemu
from stepvisor.errors import SetupError

LINKER_NAME = "x86_64-linux-gnu/ld-linux-x86-64.so.2"
LINKER = b"#!/bin/sh\nprintf '%s\\n' \"$@\"\n"


class FakeArchive:
    """Two packages: a program, and the C library of its release."""

    files: tuple[dict[str, bytes | Path], ...] = (
        {"./usr/bin/qemu-system-aarch64": b"program"},
        {
            f"./usr/lib/{LINKER_NAME}": LINKER,
            "./usr/lib/x86_64-linux-gnu/libc.so.6": b"library",
        },
    )
    opened = 0

    def __init__(self, suite: str, directory: Path, *, architecture: str) -> None:
        assert (suite, architecture) in {("trixie-backports", "amd64"), ("trixie", "amd64")}
        type(self).opened += 1
        self.directory = directory

    def download_with_dependencies(self, package: str) -> tuple[Path, ...]:
        assert package == "qemu-system-arm"
        paths = []
        for number, files in enumerate(self.files):
            path = self.directory / f"{number}.deb"
            path.write_bytes(make_deb(files))
            paths.append(path)
        return tuple(paths)


@pytest.fixture(autouse=True)
def _archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(qemu, "AptArchive", FakeArchive)
    monkeypatch.setattr(qemu.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(FakeArchive, "opened", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("root", ["", "usr/"], ids=["Debian 12", "Debian 13"])
def test_the_linker_of_its_release_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    """Not the machine's, to which the usual name may be a link."""
    lines: list[str] = []
    program_files, libraries = FakeArchive.files
    moved = {name.replace("usr/", root): data for name, data in libraries.items()}
    usual = {f"./{root}lib64/ld-linux-x86-64.so.2": Path(f"/{root}lib/{LINKER_NAME}")}
    monkeypatch.setattr(FakeArchive, "files", (program_files, {**moved, **usual}))
    program = qemu.qemu_program("11", lines.append)
    base = tmp_path / "stepvisor/qemu/11"

    assert program == base / "qemu-system-aarch64"
    (base / f"{root}lib/{LINKER_NAME}").chmod(0o755)  # the test's packages have no modes
    assert subprocess.check_output([program, "-M", "virt"], text=True).splitlines() == [
        "--library-path",
        f"{base}/{root}lib/x86_64-linux-gnu",
        f"{base}/usr/bin/qemu-system-aarch64",
        *("-L", f"{base}/usr/share/qemu"),
        *("-M", "virt"),
    ]
    assert len(lines) == 2


def test_fetched_once() -> None:
    first = qemu.qemu_program("10", lambda _: None)

    assert qemu.qemu_program("10", lambda _: None) == first
    assert FakeArchive.opened == 1


def test_packages_without_a_linker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeArchive, "files", FakeArchive.files[:1])

    with pytest.raises(SetupError, match="no dynamic linker"):
        qemu.qemu_program("11", lambda _: None)


def test_machine_that_debian_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu.platform, "machine", lambda: "riscv64")

    with pytest.raises(SetupError, match=r"riscv64: \$STEPVISOR_QEMU"):
        qemu.qemu_program("11", lambda _: None)
