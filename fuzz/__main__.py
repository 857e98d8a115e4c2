"""``python -m fuzz``: random actions of a guest for some time, or one case again."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT / folder) for folder in ("tests/system", "tests/guests", "el2")]

from fuzz.campaign import CPUS, WAYS, run_campaign  # noqa: E402 - needs the harness of the tests
from fuzz.case import Case, Way  # noqa: E402 - likewise
from fuzz.compare import Failure, check  # noqa: E402 - likewise
from stepvisor.errors import StepvisorError  # noqa: E402 - likewise
from stepvisor.machine.config import DEFAULT_CPU  # noqa: E402 - likewise


def main(arguments: Sequence[str] | None = None) -> int:
    """0: no difference, 1: there was one, 2: the command line or the set-up is wrong."""
    options = _parser().parse_args(arguments)
    monitor = Path(options.monitor) if options.monitor else None
    try:
        failures = _one(options, monitor) if options.case else _many(options, monitor)
    except StepvisorError as error:
        print(f"fuzz: error: {error}", file=sys.stderr)
        return 2
    for failure in failures:
        print(f"\n{failure}")
    return 1 if failures else 0


def _one(options: argparse.Namespace, monitor: Path | None) -> list[Failure]:
    case = Case(
        seed=options.case,
        cpu=(options.cpu or [DEFAULT_CPU])[0],
        vcpus=options.vcpus,
        actions=options.actions,
        way=Way(options.way),
        kinds=options.kinds,
    )
    failure = check(case, monitor)
    print("no difference" if failure is None else "a difference")
    return [] if failure is None else [failure]


def _many(options: argparse.Namespace, monitor: Path | None) -> list[Failure]:
    started = time.monotonic()
    result = run_campaign(
        seed=options.seed,
        seconds=options.seconds,
        cpus=options.cpu or CPUS,
        ways=options.ways or WAYS,
        monitor=monitor,
        say=lambda text: print(text, flush=True),
    )
    seconds = time.monotonic() - started
    for cpu, actions in result.actions.items():
        print(f"{cpu}: {actions:,} actions under the monitor, as on the bare machine")
    print(f"{result.hits:,} hits counted, {len(result.failures)} failures, {seconds:.0f} s")
    return result.failures


def _ways(text: str) -> list[Way]:
    return [Way(name) for name in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long, about")
    parser.add_argument("--seed", type=int, default=1, help="where all is drawn from")
    parser.add_argument("--cpu", action="append", help="a model; may be repeated")
    parser.add_argument(
        "--ways", help="some, by comma: " + ", ".join(way.value for way in Way), type=_ways
    )
    parser.add_argument("--monitor", help="another image of the monitor, to see it fail")
    one = parser.add_argument_group("one case, as a failure's first line says")
    one.add_argument("--case", type=int, help="its seed")
    one.add_argument("--vcpus", type=int, default=1)
    one.add_argument("--actions", type=int, default=2000)
    one.add_argument("--way", choices=[way.value for way in Way], default=Way.STIRRED.value)
    one.add_argument("--kinds", type=lambda text: int(text, 0), default=(1 << 64) - 1)
    return parser


if __name__ == "__main__":
    sys.exit(main())
