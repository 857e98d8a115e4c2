"""Guests in the cache: fetched once, whole or not at all."""

import json
import multiprocessing
from pathlib import Path

import pytest
from fake_packages import kernel_bytes, make_deb, write_packages

from stepvisor.errors import ArchiveError, InputError, SetupError
from stepvisor.guest import distribution
from stepvisor.guest.distribution import GuestFiles, fetch


@pytest.fixture
def packages(tmp_path: Path) -> tuple[Path, Path]:
    return write_packages(tmp_path)


class NoNetwork:
    """An archive that must not be asked."""

    def __init__(self, *_: object) -> None:
        raise AssertionError


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "AptArchive", NoNetwork)
    monkeypatch.setattr(distribution, "MirrorArchive", NoNetwork)


def test_packages_given(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    lines: list[str] = []
    files = fetch(packages=packages, cache=tmp_path / "cache", progress=lines.append)

    assert files.kernel.read_bytes() == kernel_bytes()
    assert files.kernel == tmp_path / "cache/guests/6.12-cloud/vmlinuz"
    assert files.release == "6.99.0-test"
    assert files.packages == ("linux-image-test.deb", "busybox-static-test.deb")
    assert files.initrd.read_bytes()[:2] == b"\x1f\x8b"
    assert lines == ["unpacking"]


def test_second_time_does_nothing(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    cache = tmp_path / "cache"
    first = fetch(packages=packages, cache=cache)
    before = sorted((path, path.stat().st_mtime_ns) for path in cache.rglob("*"))
    lines: list[str] = []

    assert fetch(cache=cache, progress=lines.append) == first
    assert lines == []
    assert sorted((path, path.stat().st_mtime_ns) for path in cache.rglob("*")) == before


def test_other_flavours_have_their_own_place(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    fetch(packages=packages, cache=tmp_path)
    full = fetch("full", "6.1", packages=packages, cache=tmp_path)

    assert full.kernel.parent.name == "6.1-full"


def test_user_cache_directory(
    tmp_path: Path, packages: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetch(packages=packages).kernel.is_relative_to(tmp_path / "xdg/stepvisor")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fetch(packages=packages).kernel.is_relative_to(tmp_path / "home/.cache/stepvisor")


@pytest.mark.parametrize("damage", ["vmlinuz", "busybox", "guest.json"])
def test_damaged_entry_is_fetched_again(
    tmp_path: Path, packages: tuple[Path, Path], damage: str
) -> None:
    files = fetch(packages=packages, cache=tmp_path)
    path = files.kernel.parent / damage
    path.write_bytes(path.read_bytes()[:-7])

    with pytest.raises(AssertionError):  # it goes to the network
        fetch(cache=tmp_path)
    assert fetch(packages=packages, cache=tmp_path) == files


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"sizes": 3}', "\0"])
def test_rubbish_in_the_cache(tmp_path: Path, packages: tuple[Path, Path], manifest: str) -> None:
    files = fetch(packages=packages, cache=tmp_path)
    (files.kernel.parent / "guest.json").write_text(manifest)

    assert fetch(packages=packages, cache=tmp_path) == files


def test_missing_initramfs_is_made(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    files = fetch(packages=packages, cache=tmp_path)
    whole = files.initrd.read_bytes()
    files.initrd.unlink()

    assert fetch(cache=tmp_path) == files
    assert files.initrd.read_bytes() == whole


def test_failure_leaves_the_old_entry(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    cache = tmp_path / "cache"
    files = fetch(packages=packages, cache=cache)
    bad = tmp_path / "bad.deb"
    bad.write_bytes(make_deb({"./boot/vmlinuz-1": b"not a kernel"}))

    with pytest.raises(InputError, match="kernel vmlinuz: is not an arm64 kernel Image"):
        fetch(packages=(bad, packages[1]), cache=cache)
    assert fetch(cache=cache) == files
    assert {path.name for path in (cache / "guests").iterdir()} == {"6.12-cloud", "lock"}


@pytest.mark.parametrize(("keep", "what"), [(0, "busybox \\(busybox-static"), (1, "a kernel")])
def test_package_missing(tmp_path: Path, packages: tuple[Path, Path], keep: int, what: str) -> None:
    with pytest.raises(InputError, match=f"no package has {what}"):
        fetch(packages=packages[keep : keep + 1], cache=tmp_path)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="flavour 'tiny': there are cloud, full"):
        fetch("tiny", cache=tmp_path)
    with pytest.raises(InputError, match=r"release '2\.6': there are 6\.12, 6\.1"):
        fetch(release="2.6", cache=tmp_path)


def test_another_default(
    tmp_path: Path, packages: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("STEPVISOR_GUEST", "5.10-full")
    assert distribution.cached_guest() is None
    files = fetch("full", "5.10", packages=packages)

    assert distribution.default_guest() == distribution.cached_guest() == files
    monkeypatch.setenv("STEPVISOR_GUEST", "5.10")
    with pytest.raises(InputError, match=r"STEPVISOR_GUEST is '5\.10': write RELEASE-FLAVOUR"):
        distribution.default_guest()


def test_cache_that_cannot_be_written(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")

    with pytest.raises(SetupError, match="cannot be written"):
        fetch(packages=packages, cache=blocker)


class FakeArchive:
    """Knows the packages of a release whose kernel is one or two steps behind the metapackage."""

    chain = (("linux-image-cloud-arm64", ("linux-base", "linux-image-7.0-arm64")),)

    def __init__(self, suite: str, directory: Path) -> None:
        self.suite, self.directory = suite, directory
        self.kernel, self.busybox = write_packages(directory)

    def depends(self, package: str) -> tuple[str, ...]:
        return dict(self.chain).get(package, ())

    def download(self, package: str) -> Path:
        return self.busybox if package == "busybox-static" else self.kernel

    def explain(self, words: str = "") -> str:
        return words or "the release is expired"


def test_apt_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "AptArchive", FakeArchive)
    lines: list[str] = []

    fetch(release="6.1", cache=tmp_path, progress=lines.append)

    assert lines == [
        "reading the package lists of Debian bookworm for arm64 (apt, nothing is installed)",
        "downloading linux-image-7.0-arm64",
        "downloading busybox-static",
        "unpacking",
    ]


def test_kernel_in_a_package_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 14: linux-image-* depends on linux-binary-*."""

    class Split(FakeArchive):
        chain = (
            *FakeArchive.chain,
            ("linux-image-7.0-arm64", ("linux-modules-7.0", "linux-binary-7.0-arm64")),
        )

    monkeypatch.setattr(distribution, "AptArchive", Split)
    lines: list[str] = []
    fetch(cache=tmp_path, progress=lines.append)

    assert "downloading linux-binary-7.0-arm64" in lines


def test_dependencies_in_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Circle(FakeArchive):
        chain = (
            *FakeArchive.chain,
            ("linux-image-7.0-arm64", ("linux-image-7.0-arm64",)),
        )

    monkeypatch.setattr(distribution, "AptArchive", Circle)
    assert fetch(cache=tmp_path).release == "6.99.0-test"


def test_release_without_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(FakeArchive):
        chain = ()

    monkeypatch.setattr(distribution, "AptArchive", Empty)

    with pytest.raises(SetupError, match="complaint: the release is expired"):
        fetch(cache=tmp_path)


def test_no_apt_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise SetupError("there is no apt-get on this machine")

    monkeypatch.setattr(distribution, "AptArchive", missing)

    with pytest.raises(SetupError) as raised:
        fetch(cache=tmp_path)
    for words in ("no apt-get", "--mirror", "linux-image-", "busybox-static", "--kernel", "trixie"):
        assert words in str(raised.value)


def test_mirror_is_asked_when_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def mirror(url: str, suite: str, _: Path, **options: object) -> None:
        asked.extend((url, suite, options))
        raise ArchiveError("no")

    monkeypatch.setattr(distribution, "MirrorArchive", mirror)
    with pytest.raises(ArchiveError):
        fetch(mirror="https://m.example/debian", trust_mirror=True, cache=tmp_path)

    assert asked == ["https://m.example/debian", "trixie", {"keyring": None, "trust": True}]


def _fetch_in_process(cache: Path, packages: tuple[Path, ...], results: object) -> None:
    lines: list[str] = []
    files = fetch(packages=packages, cache=cache, progress=lines.append)
    results.put((str(files.kernel), lines))  # type: ignore[attr-defined]  # a queue


def test_two_at_once(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [
        context.Process(target=_fetch_in_process, args=(tmp_path / "c", packages, results))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)

    assert {kernel for kernel, _ in answers} == {str(tmp_path / "c/guests/6.12-cloud/vmlinuz")}
    assert isinstance(fetch(cache=tmp_path / "c"), GuestFiles)


def test_waits_for_another_fetcher(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    holder = context.Process(target=_hold_lock, args=(tmp_path / "guests", held, release))
    holder.start()
    assert held.wait(60)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        release.set()

    fetch(packages=packages, cache=tmp_path, progress=say)
    holder.join(60)

    assert lines == ["waiting for another stepvisor that is fetching a guest", "unpacking"]


def _hold_lock(directory: Path, held: object, release: object) -> None:
    from stepvisor.guest.cache import locked  # noqa: PLC0415 - runs in another process

    with locked(directory, lambda: None):
        held.set()  # type: ignore[attr-defined]  # an event
        release.wait(60)  # type: ignore[attr-defined]  # an event


def test_manifest_is_readable(tmp_path: Path, packages: tuple[Path, Path]) -> None:
    files = fetch(packages=packages, cache=tmp_path)
    manifest = json.loads((files.kernel.parent / "guest.json").read_text())

    assert manifest["release"] == "6.99.0-test"
