"""cpio archives, read back by a reader written from the format's description."""

import stat

import pytest

from stepvisor.errors import ArchiveError
from stepvisor.guest.cpio import CpioWriter


def unpack(archive: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Mode, contents and device of every entry."""
    out = {}
    position = 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [int(archive[position + 6 + 8 * i : position + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = position + 110
        name = archive[start : start + name_size - 1].decode()
        assert archive[start + name_size - 1] == 0
        body = (start + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return out
        assert name not in out
        out[name] = (mode, archive[body : body + size], (fields[9], fields[10]))
        position = (body + size + 3) & ~3


def test_every_kind_of_entry() -> None:
    writer = CpioWriter()
    writer.add_file("/etc/rc/one", b"abc", 0o755)
    writer.add_symlink("sh", "bin/busybox")
    writer.add_character_device("dev/console", 5, 1)
    writer.add_directory("tmp", 0o1777)
    archive = writer.finish()

    assert len(archive) % 512 == 0
    assert unpack(archive) == {
        "etc": (stat.S_IFDIR | 0o755, b"", (0, 0)),
        "etc/rc": (stat.S_IFDIR | 0o755, b"", (0, 0)),
        "etc/rc/one": (stat.S_IFREG | 0o755, b"abc", (0, 0)),
        "sh": (stat.S_IFLNK | 0o777, b"bin/busybox", (0, 0)),
        "dev": (stat.S_IFDIR | 0o755, b"", (0, 0)),
        "dev/console": (stat.S_IFCHR | 0o600, b"", (5, 1)),
        "tmp": (stat.S_IFDIR | 0o1777, b"", (0, 0)),
    }


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 511, 5000])
def test_padding(size: int) -> None:
    writer = CpioWriter()
    writer.add_file("a" * (size % 7 + 1), b"x" * size)
    writer.add_file("zz", b"end")

    assert unpack(writer.finish())["zz"][1] == b"end"


def test_finish_may_be_repeated() -> None:
    writer = CpioWriter()
    writer.add_file("a", b"1")
    first = writer.finish()

    assert writer.finish() == first


@pytest.mark.parametrize(
    "path", ["", "/", "../up", "a/../../b", "a\0b", "x" * 5000, "TRAILER!!!", "."]
)
def test_impossible_paths(path: str) -> None:
    with pytest.raises(ArchiveError):
        CpioWriter().add_file(path, b"")


def test_clashes() -> None:
    writer = CpioWriter()
    writer.add_file("a", b"")

    with pytest.raises(ArchiveError, match="added twice"):
        writer.add_file("/a", b"")
    with pytest.raises(ArchiveError, match="'a' is no directory"):
        writer.add_file("a/b", b"")
