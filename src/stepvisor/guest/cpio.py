"""Write cpio archives in the form that Linux unpacks as an initramfs.

The form is "newc", described in Linux Documentation/driver-api/early-userspace/buffer-format.rst.
Everything belongs to root and is dated 1970, so equal contents give equal archives, and device
nodes need no privilege because they are only names in the archive.
"""

import stat
from pathlib import PurePosixPath
from typing import Final

from stepvisor.errors import ArchiveError

__all__ = ("CpioWriter",)

_MAGIC: Final = b"070701"
_TRAILER: Final = "TRAILER!!!"
_ALIGNMENT: Final = 4
_ARCHIVE_ALIGNMENT: Final = 512
_MAX_FIELD: Final = 0xFFFF_FFFF
_MAX_PATH: Final = 4095


class CpioWriter:
    """An archive in memory: add entries, then take `finish()`.

    Directories above an entry are added when they are missing. Paths are relative to the root and
    may start with a slash.

    Every `add_*` raises ArchiveError for a path that is empty, is too long, leaves the root, or is
    there already.
    """

    def __init__(self) -> None:
        self._out = bytearray()
        self._modes: dict[str, int] = {}

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        """Add an empty directory."""
        self._add(path, stat.S_IFDIR | mode)

    def add_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(path, stat.S_IFREG | mode, data)

    def add_symlink(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(path, stat.S_IFLNK | 0o777, _encoded(target))

    def add_character_device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add the node of a character device."""
        self._add(path, stat.S_IFCHR | mode, device=(major, minor))

    def finish(self) -> bytes:
        """Return the whole archive, closed and padded."""
        out = bytearray(self._out)
        _append(out, 0, 0, _TRAILER.encode(), b"", (0, 0))
        out += bytes(-len(out) % _ARCHIVE_ALIGNMENT)
        return bytes(out)

    def _add(
        self, path: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        name = _normalise(path)
        if name in self._modes:
            raise ArchiveError(f"initramfs: {path!r} is added twice")
        if len(data) > _MAX_FIELD:
            raise ArchiveError(f"initramfs: {path!r} is larger than 4 GiB")
        self._add_parents(name)
        self._modes[name] = mode
        _append(self._out, len(self._modes), mode, _encoded(name), data, device)

    def _add_parents(self, name: str) -> None:
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            mode = self._modes.get(str(parent))
            if mode is None:
                self.add_directory(str(parent))
            elif not stat.S_ISDIR(mode):
                raise ArchiveError(
                    f"initramfs: {str(parent)!r} is no directory, {name!r} cannot be in it"
                )


def _normalise(path: str) -> str:
    parts = PurePosixPath(path.lstrip("/")).parts
    name = "/".join(parts)
    if not parts or ".." in parts or "\0" in path or len(_encoded(name)) > _MAX_PATH:
        raise ArchiveError(f"initramfs: {path!r} is not a path inside the archive")
    if name == _TRAILER:
        raise ArchiveError(f"initramfs: {path!r} is the name that ends an archive")
    return name


def _encoded(name: str) -> bytes:
    """A name as the host's file system would have it."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ArchiveError(f"initramfs: {name!r} is not a path inside the archive") from error


def _append(
    out: bytearray, inode: int, mode: int, name: bytes, data: bytes, device: tuple[int, int]
) -> None:
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, links, time, size, device of the archive (2), device node (2),
    # length of the name with its NUL, checksum (unused in this form)
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    out += _MAGIC + b"".join(b"%08X" % field for field in fields)
    out += name + b"\0"
    out += bytes(-len(out) % _ALIGNMENT)
    out += data
    out += bytes(-len(out) % _ALIGNMENT)
