"""What a guest prints does not drive the user's terminal."""

from pathlib import Path

import pytest
from command_line import CommandLine

from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs

pytestmark = pytest.mark.system

INIT = r"""#!/bin/busybox sh
/bin/busybox printf '\n\033]0;owned\007\033[2J\033[31mred\033[m \302\233\342\200\256\177 bye\n'
/bin/busybox sleep 1
/bin/busybox poweroff -f
"""
SHOWN = r"\x1b]0;owned" "\x1b[31mred\x1b[m " r"\x9b\u202e\x7f bye"
QUOTED = r"\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[m \x9b\u202e\x7f bye"


@pytest.fixture(scope="module")
def initrd(files: GuestFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "initrd"
    path.write_bytes(build_initramfs(files.busybox.read_bytes(), {"init": INIT.encode()}))
    return path


def test_on_the_console(initrd: Path) -> None:
    done = CommandLine().run("boot", "--cpus", "1", "--initrd", str(initrd))

    assert done.returncode == 0
    assert SHOWN in done.stdout


def test_raw_on_the_console_when_asked_for(initrd: Path) -> None:
    done = CommandLine().run("boot", "--raw-console", "--cpus", "1", "--initrd", str(initrd))

    assert "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[m \x9b\u202e\x7f bye" in done.stdout


def test_in_an_error(initrd: Path) -> None:
    done = CommandLine().run(
        "trace", "-e", "vfs_read", "--run", "true", "--cpus", "1", "--initrd", str(initrd)
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.isprintable()
    assert QUOTED in line
