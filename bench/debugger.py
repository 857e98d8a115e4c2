"""Probes by a debugger: our own client of QEMU's port, and gdb.

Time is the host's: while a debugger looks, the guest's clock stands still.
"""

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.gdbstub import GdbClient
from bench.linux import SYMBOL
from bench.native import NativeMachine
from bench.sampling import Sample
from stepvisor.errors import SetupError

__all__ = ("find_gdb", "measure_gdb", "measure_stub")

_BATCH = 20
"""Events of which one value is the average."""

_READS = "/bin/dd if=/dev/zero of=/dev/null bs=1 > /dev/null 2>&1 & echo $!"

_GDB_SECONDS = 120.0

_SCRIPT = """\
set pagination off
set confirm off
set architecture aarch64
target remote {path}
hbreak *{address:#x}
set $i = 0
continue
shell date +BENCH:%s.%N
while $i < {events}
  info registers
  continue
  set $i = $i + 1
end
shell date +BENCH:%s.%N
set $i = 0
while $i < {events}
  stepi
  set $i = $i + 1
end
shell date +BENCH:%s.%N
delete
detach
"""


def measure_stub(native: NativeMachine, port: Path, batches: int) -> dict[str, Sample]:
    """Seconds of a hit (stop, read registers, step, continue), a step, a step with registers."""
    address = native.address(SYMBOL)
    with _endless_reads(native), GdbClient(port) as client:
        client.set_breakpoint(address)
        client.resume()

        def hit() -> None:
            client.registers()
            client.step()
            client.resume()

        def step_and_look() -> None:
            client.step()
            client.registers()

        found = {"hit": _batches(hit, batches)}
        found["step"] = _batches(client.step, batches)
        found["step_registers"] = _batches(step_and_look, batches)
        client.remove_breakpoint(address)
        client.detach()
    return found


def find_gdb() -> str:
    """A gdb that knows AArch64.

    :raise SetupError: When there is none; with the reason.
    """
    asked = ("-nx", "-batch", "-ex", "set architecture aarch64")
    for name in ("gdb-multiarch", "aarch64-linux-gnu-gdb", "gdb"):
        program = shutil.which(name)
        if program is None:
            continue
        done = subprocess.run([program, *asked], capture_output=True, text=True, check=False)
        if "ndefined item" not in done.stdout + done.stderr:
            return program
    raise SetupError("no gdb that knows AArch64; Debian: apt install gdb-multiarch")


def measure_gdb(native: NativeMachine, port: Path, events: int) -> dict[str, Sample]:
    """Seconds of a hit and of a step, as gdb does them with a script.

    :raise SetupError: When there is no gdb for it, or it fails.
    """
    program = find_gdb()
    script = _SCRIPT.format(path=port, address=native.address(SYMBOL), events=events)
    file = port.with_name("script")
    file.write_text(script, encoding="ascii")
    command = [program, "-nx", "-batch", "-x", str(file)]
    with _endless_reads(native):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GDB_SECONDS, check=False
        )
    times = [float(number) for number in re.findall(r"^BENCH:([\d.]+)$", done.stdout, re.MULTILINE)]
    if len(times) != 3:
        raise SetupError(f"{program} failed: {done.stderr.strip()[-300:]}")
    return {
        "hit": Sample(((times[1] - times[0]) / events,)),
        "step": Sample(((times[2] - times[1]) / events,)),
    }


@contextlib.contextmanager
def _endless_reads(native: NativeMachine) -> Iterator[None]:
    """The guest reads all the time while the block lasts."""
    process = native.run(_READS).output.strip()
    try:
        yield
    finally:
        native.run(f"kill {process}")


def _batches(event: Callable[[], object], batches: int) -> Sample:
    values = []
    for _ in range(batches):
        start = time.monotonic()
        for _ in range(_BATCH):
            event()
        values.append((time.monotonic() - start) / _BATCH)
    return Sample(tuple(values))
