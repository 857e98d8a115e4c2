"""Files that a user names: only regular ones, and never more of them than can be meant."""

import os
import stat
from pathlib import Path
from typing import Final

from stepvisor.errors import InputError

__all__ = ("read_input",)

_CHUNK: Final = 1 << 20


def read_input(
    path: Path,
    what: str,
    limit: int,
    refuse: type[InputError] = InputError,
    directory_hint: str = "",
) -> bytes:
    """Read a whole file of at most `limit` bytes; one that grows meanwhile is not followed.

    :param what: What it is, for messages: "kernel".
    :param directory_hint: What to do when it is a directory.
    :raise InputError: Or what `refuse` says: when it cannot be read, is no regular file (a pipe
        would make us wait, a device never end), or is too large.
    """
    try:
        # Looked at before it is opened: to open a device can have effects.
        _check_kind(path, path.stat().st_mode, what, refuse, directory_hint)
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            status = os.fstat(file)
            _check_kind(path, status.st_mode, what, refuse, directory_hint)
            data = _read(file, min(status.st_size, limit), limit)
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise refuse(f"{what} {path}: cannot be read ({reason})") from error
    if len(data) > limit:
        raise refuse(f"{what} {path}: has more than {limit >> 20} MiB: too large")
    return data


def _check_kind(path: Path, mode: int, what: str, refuse: type[InputError], hint: str) -> None:
    if stat.S_ISDIR(mode):
        raise refuse(f"{what} {path}: is a directory{hint}")
    if not stat.S_ISREG(mode):
        raise refuse(f"{what} {path}: is not a regular file")


def _read(file: int, expected: int, limit: int) -> bytes:
    """Up to `limit` + 1 bytes."""
    parts: list[bytes] = []
    left, wanted = limit + 1, expected + 1
    while left and (part := os.read(file, min(left, wanted))):
        parts.append(part)
        left -= len(part)
        wanted = _CHUNK
    return b"".join(parts)
