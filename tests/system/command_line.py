"""Run `stepvisor` as a user does, and find whatever it leaves behind."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class CommandLine:
    """Everything that it starts carries a mark in its environment."""

    mark: str = field(default_factory=lambda: f"STEPVISOR_TEST_MARK={uuid.uuid4().hex}")

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        name, value = self.mark.split("=")
        return subprocess.Popen(
            [sys.executable, "-m", "stepvisor", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, name: value, **variables},
        )

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **variables)
        output, errors = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)

    def descendants(self) -> list[int]:
        """Processes that carry the mark and are no zombies."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def wait_gone(self, seconds: float = 60.0) -> list[int]:
        """What is still there after at most `seconds`."""
        wait_until(lambda: not self.descendants(), seconds)
        return self.descendants()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true in time. Processes send no event to a stranger."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process up to now, its own and the system's for it."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = text.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
