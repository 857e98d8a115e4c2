"""A child process that cannot outlive us.

Linux kills the child when the *thread* that started it ends (``prctl(PR_SET_PDEATHSIG)``), so a
thread of its own starts the child, waits for it, and lives exactly as long: whether this process
returns, raises, is interrupted or killed, the child goes too.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence

from stepvisor.errors import MachineError, SetupError

__all__ = ("BoundProcess",)

_TAIL = 2000

# The parent may die between fork and prctl; the shell then sees a foreign parent and gives up.
_GUARD = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"'


class BoundProcess:
    """One child, in a session of its own: Ctrl-C on the terminal reaches us, not the child."""

    def __init__(self, argv: Sequence[str], pass_fds: Sequence[int]) -> None:
        """Start `argv` with the descriptors `pass_fds`.

        :raise SetupError: When ``setpriv`` (util-linux) is missing.
        :raise MachineError: When the program cannot be started.
        """
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            message = "setpriv not found; install it (Debian: apt install util-linux)"
            raise SetupError(message)
        self.argv = tuple(argv)
        guard = (setpriv, "--pdeathsig", "KILL", "/bin/sh", "-c", _GUARD, "sh", str(os.getpid()))
        self._command = (*guard, *argv)
        self._pass_fds = tuple(pass_fds)
        self._stderr = os.memfd_create("stepvisor-stderr", os.MFD_CLOEXEC)
        self._child: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._started = threading.Event()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="qemu-keeper", daemon=True)
        self._keeper.start()
        try:
            self._started.wait()
        except BaseException:
            self._started.wait()
            self.close()
            raise
        if self._failure is not None:
            self.close()
            message = f"{self.argv[0]} cannot be started: {self._failure}"
            raise MachineError(message) from self._failure

    @property
    def pid(self) -> int:
        """Process id of the child, 0 when it never started."""
        return self._child.pid if self._child is not None else 0

    @property
    def ended(self) -> bool:
        """Whether the child is gone."""
        return self._ended.is_set()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._child.returncode if self._child is not None else None

    def wait(self, timeout: float | None) -> bool:
        """Wait until the child is gone; False after `timeout` seconds."""
        return self._ended.wait(timeout)

    def last_words(self) -> str:
        """The end of what it wrote to stderr, on one line."""
        if self._stderr < 0:
            return ""
        size = os.fstat(self._stderr).st_size
        text = os.pread(self._stderr, _TAIL, max(size - _TAIL, 0)).decode(errors="replace")
        return " | ".join(line.strip() for line in text.splitlines() if line.strip())

    def end(self) -> None:
        """Kill the child and wait until it is gone. It has no state worth an orderly shutdown."""
        if self._child is not None and not self._ended.is_set():
            self._child.kill()
        self._keeper.join()

    def close(self) -> None:
        """End it and forget what it said."""
        self.end()
        if self._stderr >= 0:
            os.close(self._stderr)
            self._stderr = -1

    def _keep(self) -> None:
        try:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._stderr,
                stderr=self._stderr,
                pass_fds=self._pass_fds,
                start_new_session=True,
            )
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        self._child.wait()
        self._ended.set()
