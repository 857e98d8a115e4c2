"""What only an emulator can offer: QEMU's own execution log, and a TCG plugin.

Both need the address when QEMU starts, so these guests boot without address space randomisation.
The log is switched on and off while the guest runs; a plugin stays.
"""

import shlex
import shutil
import subprocess
from pathlib import Path

from bench.guests import ROOT
from bench.linux import SYMBOL
from bench.native import NativeMachine
from bench.sampling import Sample, interleave
from bench.userland import DD, clocked
from stepvisor.errors import GuestError, SetupError
from stepvisor.guest.image import load_image
from stepvisor.symbols.table import SymbolTable

__all__ = ("build_plugin", "link_address", "measure_log", "measure_plugin")

_OUTPUT = ROOT / "build" / "bench"
_RECORD = 24
_BUFFER = 4096
_NOKASLR = "nokaslr"


def build_plugin() -> Path:
    """Build ``bench/plugin/log.c`` with the host's compiler.

    :raise SetupError: When there is none, or it refuses.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise SetupError("no cc on PATH to build the plugin with; Debian: apt install gcc")
    _OUTPUT.mkdir(parents=True, exist_ok=True)
    target = _OUTPUT / "log.so"
    options = shlex.split("-std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -fvisibility=hidden")
    source = ROOT / "bench" / "plugin" / "log.c"
    command = [compiler, *options, str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{shlex.join(command)}\n{done.stderr}")
    return target


def link_address(kernel: Path) -> int:
    """Where :data:`bench.linux.SYMBOL` is in a kernel that is not randomised."""
    symbol = SymbolTable.from_image(load_image(kernel)).get(SYMBOL)
    if symbol is None:
        raise GuestError(f"the kernel has no symbol {SYMBOL}")
    return symbol.address


def measure_log(
    kernel: Path, initrd: Path, address: int, reads: int, rounds: int
) -> tuple[Sample, Sample]:
    """Seconds of the workload without and with ``-d exec,nochain -dfilter``."""
    log = _OUTPUT / "exec.log"
    log.unlink(missing_ok=True)
    options = ("-D", str(log), "-dfilter", f"{address:#x}+4")
    with NativeMachine(kernel, initrd, append=_NOKASLR, options=options) as native:

        def logged() -> float:
            native.human("log exec,nochain")
            try:
                return clocked(native, DD.format(count=reads), 600)
            finally:
                native.human("log none")

        found = interleave(
            {"without": lambda: clocked(native, DD.format(count=reads)), "with": logged}, rounds
        )
    with log.open("rb") as file:
        lines = sum(1 for _ in file)
    log.unlink()
    if lines < reads * rounds:
        raise GuestError(f"QEMU logged {lines} executions of {reads * rounds}")
    return found["without"], found["with"]


def measure_plugin(
    kernel: Path, initrd: Path, address: int, reads: int, rounds: int
) -> tuple[Sample, Sample]:
    """Seconds of the workload in a guest without and in one with the plugin."""
    log = _OUTPUT / "plugin.log"
    options = ("-plugin", f"{build_plugin()},address={address:#x},output={log}")
    with (
        NativeMachine(kernel, initrd, append=_NOKASLR) as plain,
        NativeMachine(kernel, initrd, append=_NOKASLR, options=options) as native,
    ):
        command = DD.format(count=reads)
        variants = {
            "without": lambda: clocked(plain, command),
            "with": lambda: clocked(native, command),
        }
        found = interleave(variants, rounds)
    records = (log.stat().st_size + _BUFFER) // _RECORD
    log.unlink()
    if records < reads * rounds:
        raise GuestError(f"the plugin logged {records} executions of {reads * rounds}")
    return found["without"], found["with"]
