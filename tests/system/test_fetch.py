"""Fetching a guest for real: through this machine's apt, and changing nothing of it."""

import subprocess
from pathlib import Path

import pytest

from stepvisor.guest.distribution import fetch
from stepvisor.guest.image import load_image
from stepvisor.guest.sources import find_debian_sources

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not find_debian_sources(Path("/etc/apt")), reason="this machine's apt has no Debian"
    ),
]


def _system_state() -> dict[str, object]:
    """What apt and dpkg know, and when their files changed."""
    directories = ("/etc/apt", "/var/lib/apt", "/var/lib/dpkg", "/var/cache/apt", "/var/log/apt")
    state: dict[str, object] = {
        str(path): path.lstat().st_mtime_ns
        for directory in directories
        for path in sorted(Path(directory).rglob("*"))
    }
    state["architectures"] = subprocess.check_output(["dpkg", "--print-foreign-architectures"])
    return state


@pytest.mark.parametrize(("release", "flavour"), [("6.12", "cloud"), ("6.1", "cloud")])
def test_fetch(release: str, flavour: str, tmp_path: Path) -> None:
    before = _system_state()
    lines: list[str] = []

    files = fetch(flavour, release, cache=tmp_path, progress=lines.append)

    assert _system_state() == before
    assert lines
    assert files.release.startswith(f"{release}.")
    assert files.release.endswith("-cloud-arm64")
    image = load_image(files.kernel)
    assert image.release == files.release
    assert {path.name for path in (tmp_path / "guests").iterdir()} == {
        "lock",
        f"{release}-{flavour}",
    }


def test_second_fetch_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch(cache=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines: list[str] = []

    assert fetch(cache=tmp_path, progress=lines.append) == first
    assert lines == []
