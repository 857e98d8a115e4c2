"""`make matrix`: conformance and system tests on the QEMUs and kernels that people have."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from matrix.cells import BARE, KERNELS, QUICK, Cell, cells
from matrix.qemu import QEMUS, qemu_program
from matrix.table import Seen, enter
from stepvisor.errors import StepvisorError
from stepvisor.guest.distribution import default_guest
from stepvisor.machine.qemu import qemu_version

_STEPVISOR = (sys.executable, "-m", "stepvisor")
_PYTEST = (
    *(sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--durations=5"),
    *("--numprocesses", "auto", "--maxprocesses", "4", "--dist", "loadfile"),
)
_PASSED = re.compile(r"(\d+) passed")


def main() -> int:
    """Run what is asked for; 1 when a cell failed."""
    parser = argparse.ArgumentParser(prog="python -m matrix", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one QEMU, about two minutes")
    parser.add_argument("--qemu", choices=tuple(QEMUS), help="this one alone")
    parser.add_argument("--kernel", choices=(BARE, *KERNELS), help="this one alone")
    parser.add_argument("--write", action="store_true", help="enter what passed into the table")
    args = parser.parse_args()
    chosen = [
        cell
        for cell in (QUICK if args.quick else cells())
        if args.qemu in {None, cell.qemu} and args.kernel in {None, cell.kernel}
    ]
    failed = 0
    for cell in chosen:
        try:
            failed += not _run(cell, write=args.write and not args.quick)
        except StepvisorError as error:
            failed += 1
            _say(f"QEMU {cell.qemu}, {cell.kernel}: {error}")
    _say(f"{len(chosen) - failed} of {len(chosen)} passed")
    return 1 if failed else 0


def _run(cell: Cell, *, write: bool) -> bool:
    program = qemu_program(cell.qemu, _say)
    versions = f"QEMU {'.'.join(map(str, qemu_version(program)))}"
    os.environ["STEPVISOR_QEMU"] = str(program)
    os.environ.pop("STEPVISOR_GUEST", None)
    if cell.kernel != BARE:
        os.environ["STEPVISOR_GUEST"] = os.environ["STEPVISOR_TEST_RELEASES"] = cell.kernel
        versions += f", Linux {default_guest(_say).release}"
    _say(f"{versions}: {cell.kernel}")
    done = [_output([*_PYTEST, *cell.tests])]
    if cell.conformance is not None:
        done.append(_output([*_STEPVISOR, "conformance", *cell.conformance]))
    good = not any(code for code, _ in done)
    _say(f"{versions}: {'passed' if good else 'FAILED'}")
    if good and write:
        verdict = f"{_passed(done[0][1])} tests pass" + (", conformance" if done[1:] else "")
        date = datetime.now(UTC).date().isoformat()
        enter(Seen(cell.qemu, cell.kernel, versions, verdict, date))
    return good


def _output(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and output, which is shown as it comes."""
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
    return process.returncode, "".join(lines)


def _passed(text: str) -> int:
    found = _PASSED.search(text)
    return int(found[1]) if found else 0


def _say(line: str) -> None:
    sys.stderr.write(f"matrix: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
