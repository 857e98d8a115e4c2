"""The user's cache directory: whole entries or none, one writer at a time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from stepvisor.errors import SetupError

__all__ = ("cache_directory", "locked", "replace_directory", "scratch_directory", "write_atomic")

_NAME: Final = "stepvisor"


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/stepvisor, or ~/.cache/stepvisor (XDG Base Directory Specification).

    :raise SetupError: When the user has no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base and Path(base).is_absolute():
        return Path(base) / _NAME
    try:
        return Path.home() / ".cache" / _NAME
    except RuntimeError as error:
        raise SetupError("there is no home directory: set XDG_CACHE_HOME") from error


@contextmanager
def locked(directory: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a directory's lock; `waiting` is called once when another process has it.

    The system drops the lock when the process ends, however it ends.

    :raise SetupError: When the directory cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        stream = (directory / "lock").open("w")
    except OSError as error:
        raise _unwritable(directory, error) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Make a private directory that is gone afterwards.

    :raise SetupError: When `parent` cannot be written.
    """
    try:
        path = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    except OSError as error:
        raise _unwritable(parent, error) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def replace_directory(new: Path, target: Path) -> None:
    """Put a complete directory in the place of another; both must have the same parent."""
    with scratch_directory(target.parent) as trash:
        if target.exists():
            target.rename(trash / "old")
        new.rename(target)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    :raise SetupError: When its directory cannot be written.
    """
    new = path.with_name(f".new-{os.getpid()}-{path.name}")
    try:
        try:
            new.write_bytes(data)
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path.parent, error) from error


def _unwritable(directory: Path, error: OSError) -> SetupError:
    return SetupError(f"directory {directory}: cannot be written ({error.strerror})")
