"""Files taken out of Debian packages."""

import io
import lzma
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from fake_packages import make_ar, make_deb

from stepvisor.errors import ArchiveError, StepvisorError
from stepvisor.guest import archive
from stepvisor.guest.archive import extract_from_deb

FILES = {"./": b"", "./boot/vmlinuz-1": b"kernel" * 5000, "./boot/vmlinuz-2": b"other"}


def extract(tmp_path: Path, data: bytes, pattern: str = "boot/vmlinuz-.*") -> bytes:
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    return extract_from_deb(path, pattern)


@pytest.mark.parametrize("compression", ["", ".gz", ".xz"])
def test_first_match_is_taken(tmp_path: Path, compression: str) -> None:
    assert extract(tmp_path, make_deb(FILES, compression)) == b"kernel" * 5000


def test_zstd(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    plain = make_deb(FILES, "")
    tar = plain[plain.index(b"data.tar") + 60 :]
    packed = make_ar(("data.tar.zst", zstandard.compress(tar)))

    assert extract(tmp_path, packed) == b"kernel" * 5000


def test_package_of_dpkg_itself(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n"
    )
    (tree / "usr/bin").mkdir(parents=True)
    contents = random.Random(5).randbytes(100_001)
    (tree / "usr/bin/busybox").write_bytes(contents)
    for compression in ("xz", "gzip", "none"):
        subprocess.run(
            ["dpkg-deb", f"-Z{compression}", "--build", tree, tmp_path / "x.deb"],
            check=True,
            capture_output=True,
        )
        assert extract_from_deb(tmp_path / "x.deb", "(?:usr/)?bin/busybox") == contents


def test_links_are_not_followed(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        entry = tarfile.TarInfo("boot/vmlinuz-1")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/shadow"
        tar.addfile(entry)
    data = make_ar(("data.tar", raw.getvalue()))

    with pytest.raises(ArchiveError, match="has no file"):
        extract(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a Debian package"),
        (b"PK\3\4" + bytes(100), "not a Debian package"),
        (make_ar(), "no data.tar"),
        (make_ar(("debian-binary", b"2.0\n")), "no data.tar"),
        (make_ar(("data.tar.lzo", b"x")), "compression that is not supported"),
        (make_ar(("data.tar.xz", b"x" * 100)), "is damaged"),
        (make_ar(("data.tar.gz", b"x" * 100)), "is damaged"),
        (make_ar(("data.tar", b"x" * 1000)), "is damaged"),
        (make_ar(("data.tar.xz", lzma.compress(b"")[:20])), "is damaged|no file|is cut short"),
        (make_deb(FILES)[:-50], "cut short within data.tar.xz"),
        (make_deb(FILES).replace(b"4         `\n", b"-4        `\n", 1), "without size"),
        (make_deb({"x": b""}), "has no file"),
    ],
)
def test_bad_packages(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ArchiveError, match=words):
        extract(tmp_path, data)


def test_unreadable_package(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="No such file"):
        extract_from_deb(tmp_path / "none.deb", "x")
    with pytest.raises(ArchiveError, match="is a directory"):
        extract_from_deb(tmp_path, "x")


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_deb({"a": bytes(8 << 20), "boot/vmlinuz-1": bytes(4 << 20)})
    monkeypatch.setattr(archive, "_MAX_STREAM", 6 << 20)
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        extract(tmp_path, data)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MAX_MEMBER", 1 << 20)
    with pytest.raises(ArchiveError, match="4,194,304 bytes: refused"):
        extract(tmp_path, data)
    monkeypatch.undo()
    monkeypatch.setattr(archive, "_MAX_ENTRIES", 10)
    with pytest.raises(ArchiveError, match="too many files"):
        extract(tmp_path, make_deb({f"f{i}": b"" for i in range(20)}))


@pytest.mark.parametrize("compression", ["", ".gz", ".xz"])
def test_damage_never_escapes_our_errors(tmp_path: Path, compression: str) -> None:
    rng = random.Random(6)
    whole = make_deb({"./boot/vmlinuz-1": rng.randbytes(3000)}, compression)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 10)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            extract(tmp_path, bytes(data))
        except StepvisorError:
            refused += 1
    assert refused > 50
