"""Turn ``build/bench.json`` into pages: ``docs/bench/results.md`` and a plot of each curve.

``python -m bench.document``, after ``make bench``; needs matplotlib, the extra `bench`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.guests import ROOT
from bench.table import format_number, format_seconds

__all__ = ("main", "write_pages")

_JSON = ROOT / "build" / "bench.json"
_PAGES = ROOT / "docs" / "bench"


def main() -> int:
    """Write the pages."""
    if not _JSON.exists():
        sys.stderr.write("bench: error: no build/bench.json; run `make bench` first\n")
        return 2
    try:
        from bench.plots import draw  # noqa: PLC0415 - the only part that needs matplotlib
    except ModuleNotFoundError:
        sys.stderr.write("bench: error: no matplotlib; install it: pip install -e '.[bench]'\n")
        return 2
    document = json.loads(_JSON.read_text(encoding="utf-8"))
    write_pages(document, _PAGES, draw(document, _PAGES))
    return 0


def write_pages(document: dict[str, Any], pages: Path, plots: Sequence[str]) -> None:
    """Write results.md into `pages`, which has `plots` already."""
    text = "\n".join([*_head(document), *_ratios(document), *_events(document), *_plots(plots)])
    (pages / "results.md").write_text(text + "\n", encoding="utf-8")


def _head(document: dict[str, Any]) -> list[str]:
    machine = document["machine"]
    facts = ", ".join(f"{key} {value}" for key, value in machine.items() if key != "date")
    return [
        f"# Results of {machine['date']}",
        "",
        "Written by `python -m bench.document` after `make bench`; [what is measured](README.md).",
        "",
        f"Machine: {facts}.",
        "",
    ]


def _ratios(document: dict[str, Any]) -> list[str]:
    lines = ["| ratio | value | quartiles | at most | |", "|---|---|---|---|---|"]
    for key, value in document["ratios"].items():
        low, high = document["spread"][key]
        target = document["targets"][key]
        spread = f"{format_number(low)} to {format_number(high)}"
        verdict = "" if value <= target else "missed"
        lines.append(f"| `{key}` | {format_number(value)} | {spread} | {target:g} | {verdict} |")
    return [*lines, ""]


def _events(document: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    group = None
    for event in document["events"]:
        if event["group"] != group:
            group = event["group"]
            lines += [f"\n## {group}\n", "| what | median | quartiles | workload | |"]
            lines.append("|---|---|---|---|---|")
        lines.append(f"| {event['what']} | {_cost(event)} | {event['note']} |")
    return [*lines, ""]


def _cost(event: dict[str, Any]) -> str:
    seconds, slowdown = event["seconds"], event["slowdown"]
    if seconds is None:
        return "- |  | "
    spread = f"{format_seconds(seconds['low'])} to {format_seconds(seconds['high'])}"
    times = "" if slowdown is None else f"x {format_number(slowdown['median'])}"
    return f"{format_seconds(seconds['median'])} | {spread} | {times}"


def _plots(names: Sequence[str]) -> list[str]:
    return [f"![{name.removesuffix('.svg').replace('-', ' ')}]({name})" for name in names]


if __name__ == "__main__":
    sys.exit(main())
