"""Turn ``build/bench.json`` into pages: ``docs/bench/results.md`` and a plot of each curve.

``python -m bench.document``, after ``make bench``; needs matplotlib, the extra `bench`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from bench.guests import ROOT
from bench.results import BARE, LINUX, STUB
from bench.table import format_number, format_seconds

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
except ModuleNotFoundError:
    sys.exit("bench: error: no matplotlib; install it with: pip install -e '.[bench]'")

__all__ = ("main", "write_pages")

_JSON = ROOT / "build" / "bench.json"
_PAGES = ROOT / "docs" / "bench"
_COSTS = (BARE, LINUX, STUB)
"""Groups of rows that are about one event each, and are not in another plot."""

_SIZE = (7.0, 4.0)

mpl.rcParams["svg.hashsalt"] = "stepvisor"  # the same file for the same numbers
mpl.rcParams["svg.fonttype"] = "none"


def main() -> int:
    """Write the pages."""
    if not _JSON.exists():
        sys.stderr.write("bench: error: no build/bench.json; run `make bench` first\n")
        return 2
    write_pages(json.loads(_JSON.read_text(encoding="utf-8")), _PAGES)
    return 0


def write_pages(document: dict[str, Any], pages: Path) -> None:
    """Write results.md and the plots into `pages`."""
    pages.mkdir(parents=True, exist_ok=True)
    plots = [_bars(document, pages)] + [_curves(s, document, pages) for s in document["series"]]
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
        return "- | | "
    spread = f"{format_seconds(seconds['low'])} to {format_seconds(seconds['high'])}"
    times = "" if slowdown is None else f"x {format_number(slowdown['median'])}"
    return f"{format_seconds(seconds['median'])} | {spread} | {times}"


def _plots(names: list[str]) -> list[str]:
    return [f"![{name.removesuffix('.svg').replace('-', ' ')}]({name})" for name in names]


def _bars(document: dict[str, Any], pages: Path) -> str:
    """What one event costs, everything next to each other."""
    events = [e for e in document["events"] if e["seconds"] and e["group"] in _COSTS]
    figure = Figure(figsize=(_SIZE[0], 0.28 * len(events) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = [event["what"] for event in events]
    axes.barh(names, [event["seconds"]["median"] for event in events], color="#4477aa")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("seconds of one event")
    axes.set_title(_title("cost of one event", document), fontsize="medium")
    return _save(figure, pages, "events")


def _curves(series: dict[str, Any], document: dict[str, Any], pages: Path) -> str:
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    for name, points in series["seconds"].items():
        at = [int(x) for x in points]
        median = [point["median"] * 1e9 for point in points.values()]
        low = [(point["median"] - point["low"]) * 1e9 for point in points.values()]
        high = [(point["high"] - point["median"]) * 1e9 for point in points.values()]
        axes.errorbar(at, median, yerr=(low, high), marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    ticks = sorted({int(x) for points in series["seconds"].values() for x in points})
    axes.set_xticks(ticks, [f"{x:,}" for x in ticks])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(series["axis"])
    axes.set_ylabel("nanoseconds of one hit")
    axes.set_title(_title(series["title"], document), fontsize="medium")
    axes.legend()
    return _save(figure, pages, series["title"])


def _title(what: str, document: dict[str, Any]) -> str:
    machine = document["machine"]
    return f"{what} ({machine['class']}, QEMU {machine['qemu']}, {machine['date']})"


def _save(figure: Figure, pages: Path, name: str) -> str:
    file = re.sub(r"\W+", "-", name.lower()) + ".svg"
    figure.savefig(pages / file, metadata={"Date": None})
    return file


if __name__ == "__main__":
    sys.exit(main())
