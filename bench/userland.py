"""The guest's user space: the usual one, and a few programs of ours that measure in it."""

import shlex
import subprocess
from pathlib import Path
from typing import Protocol

from bench.contention import Contention, share_of_life
from bench.guests import ROOT, compiler
from stepvisor.errors import GuestError, SetupError
from stepvisor.guest.distribution import GuestFiles
from stepvisor.guest.initramfs import build_initramfs, recipe
from stepvisor.trace.shell import Completed

__all__ = (
    "COMPILE",
    "DD",
    "PINGPONG",
    "Runner",
    "boot_seconds",
    "clocked",
    "initramfs",
)

DD = "/bin/dd if=/dev/zero of=/dev/null bs=1 count={count}"
"""As many calls of vfs_read as it has reads."""

COMPILE = "/bin/sh /root/compile {count}"
"""Programs that start, read, compute and write, one after the other, as a compilation does."""

PINGPONG = "/root/pingpong {count}"
"""Two processes on two CPUs that wake each other up."""

_SOURCE = ROOT / "bench" / "programs"
_OUTPUT = ROOT / "build" / "bench"
_BOOT_LINE = "bench: user space at "
_TIME_LINE = "bench: nanoseconds "

_OPTIONS = shlex.split(
    "-std=gnu11 -O2 -Wall -Wextra -Werror -nostdlib -static -ffreestanding -fno-pie -no-pie"
    " -fno-stack-protector -fno-builtin -mno-outline-atomics"
)

_COMPILE_SCRIPT = """\
i=0
while [ $i -lt $1 ]; do
    seq $i 2000 | awk '{ s = s * 31 % 65521 + $1; print s, $1 }' > /tmp/words
    sort -n /tmp/words | sed 's/1/one/g' | gzip -1 > /tmp/words.gz
    gunzip -c /tmp/words.gz | sha256sum > /tmp/object.$i
    i=$((i+1))
done
cat /tmp/object.* | md5sum > /dev/null
rm -f /tmp/object.* /tmp/words /tmp/words.gz
"""


class Runner(Protocol):
    """A guest with a shell: under the monitor or not."""

    @property
    def pid(self) -> int:
        """Process id of its QEMU."""

    def run(self, command: str, timeout: float = 60.0) -> Completed:
        """Run a shell command."""


def initramfs(files: GuestFiles) -> Path:
    """Build it for the guest of `files`; returns its path.

    :raise SetupError: When there is no cross compiler, or it refuses.
    """
    extra = {
        "init": _program("init"),
        "real-init": recipe(),
        "root/clocked": _program("clocked"),
        "root/pingpong": _program("pingpong"),
        "root/compile": _COMPILE_SCRIPT.encode(),
    }
    path = _OUTPUT / "initramfs.cpio.gz"
    path.write_bytes(build_initramfs(files.busybox.read_bytes(), extra))
    return path


def boot_seconds(console: str, pid: int) -> float:
    """From power-on to the first instruction of user space, from a console that has said so.

    Less what the host's processors did for others since QEMU, process `pid`, was started.

    :raise GuestError: When it has not said so.
    """
    for line in console.splitlines():
        if line.startswith(_BOOT_LINE):
            seconds = int(line.removeprefix(_BOOT_LINE)) / 1e9
            return seconds * (1 - share_of_life(pid))
    raise GuestError("the guest did not say when user space began")


def clocked(runner: Runner, command: str, timeout: float = 120.0) -> float:
    """Seconds of guest time that `command`, a program by its full path, takes.

    Less what the host's processors did for others meanwhile.

    :raise GuestError: When it fails.
    """
    contention = Contention(runner.pid)
    done = runner.run(f"/root/clocked {command} 2>/dev/null", timeout)
    for line in done.output.splitlines():
        if line.startswith(_TIME_LINE) and not done.exit_code:
            seconds = int(line.removeprefix(_TIME_LINE)) / 1e9
            return seconds * (1 - contention.share())
    raise GuestError(f"`{command}` failed in the guest with {done.exit_code}: {done.output}")


def _program(name: str) -> bytes:
    _OUTPUT.mkdir(parents=True, exist_ok=True)
    output = _OUTPUT / name
    command = [*compiler(), *_OPTIONS, str(_SOURCE / f"{name}.c"), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{shlex.join(command)}\n{done.stderr}")
    return output.read_bytes()
