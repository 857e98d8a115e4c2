"""``stepvisor selftest --el2``: the monitor steps itself."""

import argparse

from stepvisor.arch.disassemble import disassemble
from stepvisor.cli.arguments import Commands
from stepvisor.errors import MonitorError
from stepvisor.guest.idle import idle_image
from stepvisor.machine.config import DEFAULT_CPU, MIB, MachineConfig
from stepvisor.machine.monitor_image import find_monitor_image
from stepvisor.monitor.el2 import OwnSteps
from stepvisor.trace.guest import Guest

__all__ = ("register",)

_ARGUMENT = 0xDEADBEEF


def register(commands: Commands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "selftest",
        help="single-step a routine of the monitor itself",
        description="With --el2: let the monitor step a routine of its own at EL2 (exceptions from"
        " the same level), print the trail, and compare the result with that of a free run.",
    )
    parser.add_argument("--el2", action="store_true", required=True, help="step the monitor itself")
    parser.add_argument(
        "--cpu", default=DEFAULT_CPU, metavar="MODEL", help=f"CPU model (default: {DEFAULT_CPU})"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the trail, then the two results."""
    config = MachineConfig(cpu=args.cpu, memory=192 * MIB)
    with Guest(idle_image("selftest"), None, config=config) as guest:
        steps, base = guest.monitor.step_monitor(_ARGUMENT), guest.monitor.image_base
    _print_trail(steps, base)
    if steps.stepped != steps.free:
        message = (
            f"the monitor's routine gave {steps.stepped:#x} stepped and {steps.free:#x} free on"
            f" --cpu {args.cpu}: please report this"
        )
        raise MonitorError(message)
    print(f"{steps.steps} steps at EL2; {steps.stepped:#x} stepped, {steps.free:#x} free: equal")
    return 0


def _print_trail(steps: OwnSteps, base: int) -> None:
    image = find_monitor_image().read_bytes()
    for address in steps.trail:
        offset = address - base
        word = int.from_bytes(image[offset : offset + 4], "little")
        print(f"{address:016x}  {disassemble(word, address)}")
    if steps.steps > len(steps.trail):
        print(f"... and {steps.steps - len(steps.trail)} more")
