"""Bare-metal guests: payloads of tests/guests under the monitor, or without it.

The guest speaks the line protocol that tests/guests/runtime/guest.h describes. Nothing here sleeps:
the test waits for a line of the guest, or for a counter of the monitor.
"""

import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from numpy.typing import NDArray

from stepvisor._gen import wire
from stepvisor.errors import GuestError
from stepvisor.machine.config import MIB, MachineConfig
from stepvisor.machine.machine import Machine
from stepvisor.machine.qemu import find_qemu
from stepvisor.monitor.el2 import El2Monitor
from stepvisor.monitor.events import HIT_DTYPE, Notice
from stepvisor.monitor.interface import ProbeRequest, Trap
from stepvisor.monitor.link import BootParameters
from stepvisor.probe.plan import Method, plan_for

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "el2"))
sys.path.insert(0, str(ROOT / "tests" / "guests"))

import build_guests  # noqa: E402 - likewise

import build  # noqa: E402 - el2/build.py is no package

__all__ = (
    "CPUS",
    "GRANULES",
    "NO_FLAGS",
    "SECONDS",
    "BareGuest",
    "Payload",
    "Report",
    "build_payload",
    "load_payload",
    "monitor_image",
    "run_native",
)

CPUS = ("cortex-a57", "cortex-a72", "neoverse-n1", "max,pauth-impdef=on")

GRANULES = {"4K": 12, "16K": 14, "64K": 16}
"""Sizes of a page, by logarithm: the variable `granule` of every payload. `max` has them all."""

NO_FLAGS = wire.Flag(0)

SECONDS = 60.0
"""Longest wait for one line of a guest: far more than any needs, for a loaded machine."""

_MONITOR_VARIABLE = "STEPVISOR_TEST_MONITOR"
_RAM = 64 * MIB
_BASE = 0x4800_0000
_REPORT_LINE = re.compile(r"(PASS|FAIL|VALUE|SUMMARY): (.*)")


@functools.cache
def _directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="stepvisor-test-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def monitor_image() -> Path:
    """A monitor built from this very tree, or the one that an environment variable names.

    The variable is for showing that a test fails with a broken monitor.
    """
    if named := os.environ.get(_MONITOR_VARIABLE):
        return Path(named)
    return build.build(_directory() / "el2", build.find_toolchain(), ["-Werror"])


@dataclass(frozen=True)
class Payload:
    """A built payload."""

    image: bytes
    symbols: Mapping[str, int]

    def with_variables(self, variables: Mapping[str, int]) -> bytes:
        """The image with other initial values for some of its u64 variables."""
        image = bytearray(self.image)
        for name, number in variables.items():
            offset = self.symbols[name] - _BASE
            assert offset + 8 <= len(image), f"{name} is not initialised data"
            image[offset : offset + 8] = number.to_bytes(8, "little")
        return bytes(image)

    def variable(self, name: str) -> int:
        """The initial value of a u64 variable."""
        offset = self.symbols[name] - _BASE
        return int.from_bytes(self.image[offset : offset + 8], "little")


@functools.cache
def _payload_paths() -> dict[str, Path]:
    return build_guests.build_guests(_directory() / "guests", build.find_toolchain())


@functools.cache
def load_payload(name: str) -> Payload:
    """Payload `name` of tests/guests."""
    return _read_payload(_payload_paths()[name])


@functools.cache
def build_payload(name: str) -> Payload:
    """The same, for who needs no other one: nothing else is built."""
    target = _directory() / f"only-{name}"
    return _read_payload(build_guests.build_guests(target, build.find_toolchain(), [name])[name])


def _read_payload(path: Path) -> Payload:
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection), "linked without symbols"
        symbols = {s.name: int(s["st_value"]) for s in table.iter_symbols() if s.name}
    return Payload(path.with_suffix(".bin").read_bytes(), symbols)


@dataclass(frozen=True)
class Report:
    """What a payload said."""

    text: str

    @property
    def failures(self) -> list[str]:
        """Checks that did not hold; a payload that did not come to its end counts as one."""
        lines = [text for kind, text in self._lines() if kind == "FAIL"]
        ended = any(kind == "SUMMARY" for kind, _ in self._lines())
        return lines if ended else [*lines, "the payload did not come to its end"]

    @property
    def passed(self) -> int:
        """Checks that held."""
        return sum(kind == "PASS" for kind, _ in self._lines())

    @property
    def values(self) -> dict[str, int]:
        """Numbers by name; the last one of a name."""
        pairs = (text.rsplit(" ", 1) for kind, text in self._lines() if kind == "VALUE")
        return {name: int(number, 0) for name, number in pairs}

    def lines(self, head: str) -> list[str]:
        """What comes after `head` in the lines that begin with it."""
        return [
            line.removeprefix(head).strip()
            for line in self.text.splitlines()
            if line.startswith(head)
        ]

    def _lines(self) -> Iterator[tuple[str, str]]:
        for line in self.text.splitlines():
            if match := _REPORT_LINE.fullmatch(line.strip()):
                yield match[1], match[2]


class BareGuest:
    """A payload under the monitor, started. A context manager; at its end nothing is left."""

    def __init__(
        self,
        name: str | Payload,
        *,
        cpu: str = CPUS[0],
        vcpus: int = 1,
        flags: wire.Flag = NO_FLAGS,
        variables: Mapping[str, int] | None = None,
        heartbeat_timeout_ms: int = 10_000,
        memory: int = _RAM,
        monitor: Path | None = None,
        start: bool = True,
        tagged: bool = False,
    ) -> None:
        """Boot payload `name`; `variables` are initial values of its u64 variables."""
        self.payload = load_payload(name) if isinstance(name, str) else name
        self._position = 0
        self._hits: list[NDArray[np.void]] = []
        self.notices: list[Notice] = []
        self.draining = True
        config = MachineConfig(cpu=cpu, vcpus=vcpus, memory=memory, tagged_memory=tagged)
        self.machine = Machine(config, monitor or monitor_image())
        try:
            self.machine.ram.write(_BASE, self.payload.with_variables(variables or {}))
            self.parameters = self._parameters(vcpus, flags, heartbeat_timeout_ms)
            self.monitor = El2Monitor(self.machine.ram, self.parameters, self.machine.check_alive)
            if start:
                self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Let it run; returns when the monitor has passed its self-test."""
        self.machine.resume()
        self.monitor.wait_running(SECONDS)

    def close(self) -> None:
        """End it. Idempotent."""
        if hasattr(self, "monitor"):
            self.monitor.close()
        self.machine.close()

    def __enter__(self) -> Self:
        """Closed on exit."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, whatever happened."""
        self.close()

    # The guest's words.

    def wait(self, pattern: str, seconds: float = SECONDS) -> re.Match[bytes]:
        """Wait for a line that matches `pattern`, after what was waited for before."""
        line = re.compile(rb"^(?:" + pattern.encode() + rb")\r?\n|^SUMMARY: .*\r?\n", re.MULTILINE)
        match = self.machine.console.expect(line, seconds, self._position, self._alive)
        self._position += match.end()
        if match[0].startswith(b"SUMMARY") and not pattern.startswith("SUMMARY"):
            message = f"waiting for {pattern!r}, but the payload has ended:\n{self.text}"
            raise AssertionError(message)
        return match

    def ready(self, name: str) -> None:
        """Wait until the guest is at its checkpoint `name`, where it stays until :meth:`go`."""
        self.wait(f"READY: {re.escape(name)}")

    def go(self) -> None:
        """Let the guest leave its checkpoint."""
        self.machine.console.write(b"\n")

    def finish(self) -> Report:
        """Wait for the guest's last line; its checks are to be judged by the caller."""
        self.wait("SUMMARY: .*")
        return Report(self.text)

    @property
    def text(self) -> str:
        """The console up to now."""
        return self.machine.console.text().decode(errors="replace").replace("\r", "")

    # Probes.

    def address(self, symbol: str | int) -> int:
        """Physical address of a symbol; a number is one already."""
        return symbol if isinstance(symbol, int) else self.payload.symbols[symbol]

    def request(
        self,
        symbol: str | int,
        slot: int,
        method: Method | None = Method.STEP,
        trap: Trap = Trap.SMC,
    ) -> ProbeRequest:
        """What to arm for the instruction at `symbol`."""
        address = self.address(symbol)
        word = int.from_bytes(self.monitor.read_physical(address, 4), "little")
        choice = plan_for(word, method)
        return ProbeRequest(
            slot=slot,
            va=address,
            ipa=address,
            word=word,
            plan=choice.plan,
            label=str(symbol),
            trap=trap,
            emulation=choice.emulation,
        )

    def arm(
        self,
        *symbols: str | int,
        first_slot: int = 1,
        method: Method | None = Method.STEP,
        trap: Trap = Trap.SMC,
    ) -> list[ProbeRequest]:
        """Probe the instructions at `symbols`, with slots from `first_slot`.

        With `method` None, what can be emulated is.
        """
        requests = [self.request(s, first_slot + i, method, trap) for i, s in enumerate(symbols)]
        self.monitor.arm(requests)
        return requests

    def arm_function(self, symbol: str, first_slot: int = 1) -> list[ProbeRequest]:
        """Probe every instruction from `symbol` to `symbol`_end."""
        words = range(self.address(symbol), self.address(f"{symbol}_end"), 4)
        return self.arm(*words, first_slot=first_slot)

    def disarm(self, requests: Sequence[ProbeRequest]) -> None:
        """Take probes away."""
        self.monitor.disarm([request.slot for request in requests])

    @property
    def hits(self) -> NDArray[np.void]:
        """Every hit recorded up to now."""
        self.drain()
        return np.concatenate([np.empty(0, HIT_DTYPE), *self._hits])

    def hits_of(self, slot: int) -> int:
        """Recorded hits of one slot."""
        return int((self.hits["slot"] == slot).sum())

    def drain(self) -> None:
        """Empty the rings."""
        drained = self.monitor.drain()
        self._hits += drained.hits
        self.notices += drained.notices

    def total(self, counter: str) -> int:
        """One of the monitor's counters, over all vCPUs."""
        return sum(getattr(vcpu, counter) for vcpu in self.monitor.counters())

    def until(self, condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
        """Wait until `condition` holds, draining the rings meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.machine.check_alive()
            self._alive()
            if time.monotonic() > deadline:
                raise GuestError(f"{what} did not happen; the guest said:\n{self.text}")
            time.sleep(0.001)

    @contextmanager
    def probing(self, *symbols: str | int, first_slot: int = 1) -> Iterator[list[ProbeRequest]]:
        """Probes for as long as the block lasts."""
        requests = self.arm(*symbols, first_slot=first_slot)
        yield requests
        self.disarm(requests)

    def assert_clean(self) -> None:
        """No step ended where it must not, and nothing was lost."""
        for vcpu, counters in enumerate(self.monitor.counters()):
            assert (counters.derailed, counters.astray, counters.lost) == (0, 0, 0), (
                vcpu,
                counters,
            )

    def _alive(self) -> None:
        if self.draining:
            self.drain()

    def _parameters(
        self, vcpus: int, flags: wire.Flag, heartbeat_timeout_ms: int
    ) -> BootParameters:
        board = self.machine.board
        return BootParameters(
            ram_base=board.ram_base,
            ram_size=board.ram_size,
            guest_entry=_BASE,
            guest_argument=0,
            gicd_base=board.gicd_base,
            gicr_base=board.gicr_base,
            uart_base=board.uart_base,
            forbidden_base=board.forbidden_base,
            forbidden_size=board.forbidden_size,
            vcpus=vcpus,
            flags=flags,
            heartbeat_timeout_ms=heartbeat_timeout_ms,
        )


def run_native(
    name: str | Payload,
    *,
    cpu: str = CPUS[0],
    vcpus: int = 1,
    variables: Mapping[str, int] | None = None,
    seconds: float = SECONDS,
    tagged: bool = False,
) -> Report:
    """The same payload on the same machine without the monitor: the oracle.

    The payload gives EL2 up in its first instructions, so firmware and devices are the same.
    """
    payload = load_payload(name) if isinstance(name, str) else name
    image = Path(tempfile.mkdtemp(dir=_directory())) / "native.bin"
    image.write_bytes(payload.with_variables(variables or {}))
    argv = [
        str(find_qemu()),
        *("-M", "virt,virtualization=on,gic-version=3,its=off" + (",mte=on" if tagged else "")),
        *("-cpu", cpu),
        *("-smp", str(vcpus), "-m", f"{(_RAM + wire.REGION_SIZE) // MIB}M"),
        *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"),
        *("-serial", "stdio", "-kernel", str(image)),
    ]
    # Checkpoints are passed at once: more bytes than any payload has of them.
    typed = b"\n" * 4096
    done = subprocess.run(argv, input=typed, capture_output=True, timeout=seconds, check=True)
    return Report(done.stdout.decode(errors="replace").replace("\r", ""))
