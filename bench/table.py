"""The table: ratios with their targets, then what one event costs, next to the alternatives."""

from rich.console import Console
from rich.table import Table

from bench.results import TARGETS, Event, Ratio, Results
from bench.sampling import Sample

__all__ = ("format_number", "format_seconds", "print_table")

_WIDTH = 118
"""Columns where the output is no terminal."""


def print_table(results: Results, console: Console | None = None) -> None:
    """Print everything that was found."""
    console = console or _console()
    console.print(_ratios(results))
    console.print(_events(results.rows()))
    for note in results.notes:
        console.print(f"* {note}", markup=False, highlight=False)


def format_seconds(seconds: float) -> str:
    """With three digits and a unit."""
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if abs(seconds) < limit:
            return f"{format_number(seconds * factor)} {unit}"
    return f"{format_number(seconds)} s"


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def _ratios(results: Results) -> Table:
    table = Table(title="ratios", title_justify="left")
    table.add_column("ratio", no_wrap=True)
    for name in ("value", "quartiles", "at most"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for key, target in TARGETS.items():
        if key in results.ratios:
            table.add_row(key, *_ratio(results.ratios[key], target))
    return table


def _ratio(ratio: Ratio, target: float) -> tuple[str, str, str, str]:
    verdict = "" if ratio.value <= target else "missed"
    spread = f"{format_number(ratio.low)} to {format_number(ratio.high)}"
    return format_number(ratio.value), spread, f"{target:g}", verdict


def _events(events: list[Event]) -> Table:
    table = Table(title="cost of one event", title_justify="left")
    table.add_column("what")
    for name in ("median", "quartiles", "workload"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    group = None
    for event in events:
        if event.group != group:
            group = event.group
            table.add_row(f"[bold]{group}[/bold]", end_section=False)
        table.add_row(f"  {event.what}", *_cost(event.seconds), _slowdown(event), event.note)
    return table


def _cost(sample: Sample | None) -> tuple[str, str]:
    if sample is None:
        return "-", ""
    low, high = sample.spread
    return format_seconds(sample.median), f"{format_seconds(low)} to {format_seconds(high)}"


def _slowdown(event: Event) -> str:
    return "" if event.slowdown is None else f"x {format_number(event.slowdown.median)}"


def format_number(number: float) -> str:
    """With three digits that count."""
    if abs(number) >= 1e3:
        return f"{number:,.0f}"
    if number and abs(number) < 1e-4:
        return f"{number:.1e}"
    return f"{number:.3g}"
