"""``stepvisor conformance``: does stepped and probed code compute what it computes alone?"""

import argparse
import os
import random
from concurrent.futures import ProcessPoolExecutor, as_completed

from stepvisor.cli.arguments import Commands
from stepvisor.conformance.runner import ClassResult
from stepvisor.conformance.suite import (
    FULL_COUNT,
    MODELS,
    QUICK_COUNT,
    Plan,
    SuiteResult,
    check_names,
    names,
    run_suite,
)

__all__ = ("register",)

_SEEDS = 1 << 32
_SHOWN = 3
"""Failures of a class that are shown in full."""


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "conformance",
        help="prove that stepped and probed code computes what it computes alone",
        description="Run random instructions of every class on bare metal, freely, stepped by the"
        " monitor, and with a probe on each (emulated where it can be, else stepped), and compare"
        " everything they leave; then storms of interrupts and contended"
        f" locks. On {', '.join(MODELS)} unless told otherwise. Exit code 1 when anything differs.",
    )
    parser.add_argument(
        "--cpu", action="append", metavar="MODEL", help="CPU model; may be repeated"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_COUNT} cases of a class and model instead of {FULL_COUNT:,}",
    )
    parser.add_argument(
        "--class",
        dest="only",
        action="append",
        default=[],
        metavar="NAME",
        help="only this class or scenario; may be repeated",
    )
    parser.add_argument("--seed", type=int, help="of the first case (default: a random one)")
    parser.add_argument("--count", type=_positive, metavar="N", help="cases of a class")
    parser.add_argument("--list", action="store_true", help="print the names of classes and end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line for each class and model, failures in full, and a summary."""
    if args.list:
        print("\n".join(names()))
        return 0
    check_names(args.only)
    seed = args.seed if args.seed is not None else random.randrange(_SEEDS)
    count = args.count or (QUICK_COUNT if args.quick else FULL_COUNT)
    plans = [
        Plan(cpu=cpu, seed=seed, count=count, only=frozenset(args.only))
        for cpu in args.cpu or MODELS
    ]
    print(f"seed {seed}, {count:,} cases of a class", flush=True)
    return _summarise(_run_all(plans), seed)


def _positive(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of cases above 0")
    return int(value)


def _run_all(plans: list[Plan]) -> list[SuiteResult]:
    """As many models at a time as there are processors."""
    if len(plans) == 1:
        return [_run_one(plans[0])]
    with ProcessPoolExecutor(min(len(plans), os.cpu_count() or 1)) as pool:
        return [future.result() for future in as_completed(pool.submit(_run_one, p) for p in plans)]


def _run_one(plan: Plan) -> SuiteResult:
    return run_suite(plan, lambda result: _report(plan.cpu, result))


def _report(cpu: str, result: ClassResult) -> None:
    if result.skipped:
        verdict = "not on this CPU"
    elif result.failures:
        verdict = f"{len(result.failures)} FAILED"
    else:
        verdict = "ok"
    line = (
        f"{cpu:20} {result.name:24} {result.cases:6,} cases {result.steps:9,} stepped"
        f" {result.emulated:8,} emulated {result.displaced:8,} displaced  {verdict}"
    )
    shown = [text for failure in result.failures[:_SHOWN] for text in failure.lines()]
    print("\n".join([line, *shown]), flush=True)


def _summarise(results: list[SuiteResult], seed: int) -> int:
    steps = sum(result.steps for result in results)
    emulated = sum(result.emulated for result in results)
    displaced = sum(result.displaced for result in results)
    failed = sum(len(result.failures) for result in results)
    verdict = f"{failed} FAILED" if failed else "every one left what it leaves alone"
    models = "1 CPU model" if len(results) == 1 else f"{len(results)} CPU models"
    print(
        f"{steps:,} instructions stepped, {emulated:,} emulated under probes and {displaced:,}"
        f" stepped under probes, on {models}, seed {seed}: {verdict}"
    )
    return 1 if failed else 0
