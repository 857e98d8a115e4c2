"""``stepvisor doctor``: what is installed, and does the monitor work here."""

import argparse
import functools
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable, Iterator

from stepvisor.cli.arguments import Commands
from stepvisor.errors import SetupError, StepvisorError
from stepvisor.guest.distribution import cached_guest
from stepvisor.guest.idle import idle_image
from stepvisor.machine.config import DEFAULT_CPU, MIB, MachineConfig
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.machine.qemu import find_qemu, qemu_version
from stepvisor.monitor.link import ABI
from stepvisor.trace.guest import Guest

__all__ = ("register",)

_LIBRARIES = ("numpy", "fdt", "rich", "capstone")


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "doctor",
        help="check what is installed and run the monitor's self-test",
        description="One line per thing that stepvisor needs, and the monitor's own self-test under"
        " QEMU. Exit code 0 when a guest can be traced, 1 when something is missing.",
    )
    parser.add_argument(
        "--cpu", default=DEFAULT_CPU, metavar="MODEL", help=f"CPU model (default: {DEFAULT_CPU})"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the lines."""
    good = True
    for name, check in _checks(args.cpu):
        try:
            finding = check()
        except StepvisorError as error:
            good = False
            print(f"{'MISSING' if isinstance(error, SetupError) else 'FAILED':8} {name}: {error}")
        else:
            print(f"{'ok':8} {name}: {finding}")
        sys.stdout.flush()
    return 0 if good else 1


def _checks(cpu: str) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "host", _host
    yield "stepvisor", lambda: importlib.metadata.version("stepvisor")
    for library in _LIBRARIES:
        yield library, functools.partial(_library, library)
    yield "QEMU", _qemu
    yield "setpriv", _setpriv
    yield "monitor", _monitor
    yield "guest", _guest
    yield "self-test", lambda: _self_test(cpu)


def _host() -> str:
    return f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


def _library(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        message = f"not installed; `pip install {name}`"
        raise SetupError(message) from error


def _qemu() -> str:
    program = find_qemu()
    return f"{'.'.join(map(str, qemu_version(program)))} ({program})"


def _setpriv() -> str:
    found = shutil.which("setpriv")
    if found is None:
        message = "not found; install it (Debian: apt install util-linux)"
        raise SetupError(message)
    return found


def _monitor() -> str:
    image = find_monitor_image()
    return f"{image.stat().st_size:,} bytes, ABI {ABI:016x} ({image})"


def _guest() -> str:
    files = cached_guest()
    if files is None:
        message = "none fetched yet; run `stepvisor guest fetch`"
        raise SetupError(message)
    return f"Linux {files.release} ({files.kernel})"


def _self_test(cpu: str) -> str:
    config = MachineConfig(cpu=cpu, memory=192 * MIB)
    with Guest(idle_image("doctor"), None, config=config) as guest:
        guest.monitor.check()
    return f"SMC trap, software step, stage 2, EL2 timer and GIC work on --cpu {cpu}"
