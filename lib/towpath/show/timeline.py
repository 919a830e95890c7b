"""Requests over time: how many each side answered, what failed, how fast; with the steps that moved them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from towpath.show.charts import BLUE, GREY, RED, as_picture
from towpath.show.markup import Shown
from towpath.show.tables import table

GREEN = "#137333"
SIDES = {"origin": ("old side", BLUE, "-"), "worker": ("new side", GREEN, "-"), "gateway": ("refused", GREY, ":")}


@dataclass(frozen=True, slots=True)
class Moment:
    """A step, as a line across the chart: seconds since the beginning, and what it is called."""

    at: float
    name: str


def requests_over_time(
    title: str,
    alt: str,
    points: Sequence[tuple[float, str, float, int, int]],
    moments: Sequence[Moment],
    budget_ms: int,
    numbers: Shown | None = None,
) -> Shown:
    """Two charts one above the other.

    `points` are (seconds, side, requests a second, errors, p95 in ms); `alt` says in a sentence what they show.
    `numbers` stands below; where none is given, a table of the steps does.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 4.4), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.set_title(title, loc="left", fontsize=11, fontweight="bold")
    moments_of_all = sorted({point[0] for point in points})
    for side, (name, colour, style) in SIDES.items():
        mine = {point[0]: point for point in points if point[1] == side}
        # where a side answered nothing there is nothing, not a line to the next point
        rates = [mine[at][2] if at in mine else 0.0 for at in moments_of_all]
        times = [mine[at][4] if at in mine else math.nan for at in moments_of_all]
        if mine:
            above.plot(moments_of_all, rates, style, color=colour, label=name, linewidth=1.4)
        if mine and side != "gateway":
            below.plot(moments_of_all, times, style, color=colour, linewidth=1.4)
    failed = [point for point in points if point[3] and point[1] != "gateway"]
    if failed:
        above.plot([p[0] for p in failed], [p[2] for p in failed], "x", color=RED, label="with errors", markersize=6)
    below.axhline(budget_ms, color=RED, linewidth=1, linestyle="--")
    below.text(0, budget_ms, f" budget {budget_ms} ms", fontsize=8, color=RED, va="bottom")
    _mark(above, below, moments)
    above.set_ylabel("requests a second", fontsize=9)
    below.set_ylabel("p95, ms", fontsize=9)
    below.set_xlabel("seconds since the first step", fontsize=9)
    above.set_ylim(0, 1.3 * max((point[2] for point in points), default=1))  # the names of the steps stand above
    below.set_ylim(bottom=0)
    if points:
        above.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, fontsize=8, frameon=False, borderaxespad=0.1)
    for axes in (above, below):
        axes.tick_params(labelsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    steps = table([[f"{one.at:,.1f}", one.name] for one in moments], ["Second", "Step"], "Marks of the chart")
    return as_picture(figure, alt, numbers or steps)


def _mark(above: Any, below: Any, moments: Sequence[Moment]) -> None:
    for one in moments:
        for axes in (above, below):
            axes.axvline(one.at, color=GREY, linewidth=0.8, linestyle=":")
        above.annotate(
            one.name,
            (one.at, 1.0),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color=GREY,
            rotation=90,
            va="top",
            ha="right",
        )
