"""Files that a user names: what is read, what is refused."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import hostile_kernels
import pytest

from stepvisor.errors import ArchiveError, ImageError, InputError
from stepvisor.guest.archive import extract_from_deb
from stepvisor.guest.image import load_image
from stepvisor.inputs import read_input
from stepvisor.trace.session import load_inputs

LIMIT = 1 << 20


def test_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for size in (0, 1, 65_537, LIMIT):
        data = os.urandom(size)
        path.write_bytes(data)
        assert read_input(path, "file", LIMIT) == data


def test_files_that_do_not_know_their_size() -> None:
    """Those of /proc are regular and say that they have 0 bytes."""
    assert b"Linux" in read_input(Path("/proc/version"), "file", LIMIT)


def test_files_that_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as stream:
        stream.truncate(LIMIT + 1)
    with pytest.raises(ArchiveError, match=r"package .*/x: has more than 1 MiB: too large"):
        read_input(path, "package", LIMIT, ArchiveError)
    with path.open("wb") as stream:
        stream.truncate(1 << 36)
    with pytest.raises(InputError, match="too large"):
        read_input(path, "file", LIMIT)


@pytest.mark.timeout(60)
def test_a_file_that_grows_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    ended = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as stream:
            while not ended.is_set():
                stream.write(bytes(1 << 16))
                stream.truncate(min(stream.tell(), 64 << 20))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            try:
                assert len(read_input(path, "file", LIMIT)) <= LIMIT
            except InputError:
                continue
    finally:
        ended.set()
        writer.join()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["fifo", "link to fifo", "socket", "zero", "null", "directory"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if "fifo" in kind:
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "directory":
        path.mkdir()
    else:
        path = Path("/dev") / kind
    words = "is a directory" if kind == "directory" else "is not a regular file"

    with pytest.raises(ImageError, match=f"kernel .*: {words}"):
        load_image(path)
    with pytest.raises(ArchiveError, match=f"package .*: {words}"):
        extract_from_deb(path, "x")


@pytest.mark.timeout(60)
def test_an_initramfs_that_is_a_pipe(tmp_path: Path) -> None:
    kernel = hostile_kernels.one_name(600)
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(ImageError, match=r"initramfs .*fifo: is not a regular file"):
        load_inputs(kernel, tmp_path / "fifo")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "arguments",
    [
        ("symbols", "x", "--kernel", "FIFO"),
        ("boot", "--kernel", "FIFO", "--initrd", "FIFO"),
        ("guest", "initramfs", "FIFO", "out"),
        ("guest", "fetch", "--package", "FIFO", "--package", "FIFO"),
    ],
)
def test_the_command_line_waits_for_no_pipe(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    words = [str(fifo) if word == "FIFO" else word for word in arguments]

    done = subprocess.run(
        [sys.executable, "-m", "stepvisor", *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        check=False,
    )

    assert done.returncode == 2
    assert "is not a regular file" in done.stderr.splitlines()[-1]
