"""Measure, print the table, write ``build/bench.json``.

Exit codes: 0 measured, 1 something failed, 2 something is missing, 130 Ctrl-C. A ratio above its
target is said in the table; it is no failure of the measurement.
"""

import argparse
import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.command import run_command
from bench.guests import ROOT
from bench.kernel import emulator_section, linux_section
from bench.results import Results, write_json
from bench.sections import Stage, bare_section, many_section
from bench.settings import FULL, QUICK, Settings
from bench.table import print_table
from stepvisor.guest.distribution import default_guest
from stepvisor.machine.config import DEFAULT_CPU
from stepvisor.machine.qemu import find_qemu, qemu_version

_JSON = ROOT / "build" / "bench.json"


def main() -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what the ratios need")
    arguments = parser.parse_args()
    return run_command(lambda: _run(QUICK if arguments.quick else FULL))


def _run(settings: Settings) -> int:
    results = Results()
    start = time.monotonic()
    files = default_guest()
    with _progress() as stage:
        bare_section(results, settings, stage)
        many_section(results, settings, stage)
        linux_section(results, settings, stage, files)
        if settings.full:
            emulator_section(results, settings, stage, files)
    results.notes.append(f"measured in {time.monotonic() - start:.0f} s")
    print_table(results)
    write_json(_JSON, results, _machine(files.release))
    sys.stdout.write(f"{_JSON.relative_to(ROOT)}\n")
    if problems := results.problems():
        sys.stderr.write(f"bench: error: no usable number for {', '.join(problems)}\n")
        return 1
    return 0


@contextlib.contextmanager
def _progress() -> Iterator[Stage]:
    """What is going on, on a terminal's stderr; nothing in a pipe."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task("setting up", total=None)

        def stage(what: str) -> Callable[[], None]:
            done = 0

            def tick() -> None:
                nonlocal done
                done += 1
                shown.update(task, description=f"{what} ({done})")

            shown.update(task, description=what)
            return tick

        yield stage


def _machine(kernel: str) -> dict[str, str]:
    """What matters of the host, without its name."""
    version = ".".join(map(str, qemu_version(find_qemu())))
    cpus = len(os.sched_getaffinity(0))
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "class": f"{platform.machine()}, {cpus} CPUs, {platform.system()}",
        "qemu": version,
        "cpu model": DEFAULT_CPU,
        "guest kernel": kernel,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
