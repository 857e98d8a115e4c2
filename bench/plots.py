"""Plots of what was measured, as SVG; needs matplotlib, the extra `bench`."""

import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.results import BARE, LINUX, STUB

__all__ = ("draw",)

_COSTS = (BARE, LINUX, STUB)
"""Groups of rows that are about one event each, and are not in another plot."""

_SIZE = (7.0, 4.0)

mpl.rcParams["svg.hashsalt"] = "stepvisor"  # the same file for the same numbers
mpl.rcParams["svg.fonttype"] = "none"


def draw(document: dict[str, Any], pages: Path) -> list[str]:
    """Draw everything in ``build/bench.json`` into `pages`; returns the files' names."""
    pages.mkdir(parents=True, exist_ok=True)
    return [_bars(document, pages)] + [_curves(s, document, pages) for s in document["series"]]


def _bars(document: dict[str, Any], pages: Path) -> str:
    """What one event costs, everything next to each other."""
    events = [e for e in document["events"] if e["seconds"] and e["group"] in _COSTS]
    figure = Figure(figsize=(_SIZE[0] + 1, 0.28 * len(events) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = [event["what"] for event in events]
    axes.barh(names, [event["seconds"]["median"] for event in events], color="#4477aa")
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("seconds of one event")
    figure.suptitle(_title("cost of one event", document), fontsize="medium")
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
