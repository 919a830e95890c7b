"""Charts with an alternative text and their numbers as a table: readable without the picture, in light and in dark."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from towpath.percentiles import percentile
from towpath.show.markup import Shown, amount, escaped
from towpath.show.tables import table

BLUE, RED, GREY = "#1558b0", "#b3261e", "#5a5f66"
BAR, EDGE = 0.34, 1.1  # inches of height for each bar, and for title and axis
MOST_SHARE = 200.0  # per cent: a longer bar is cut and its label says how long it is
ECDF_ROWS = 8  # as high as so many bars
_LINES = ((GREY, "--"), (BLUE, "-"))  # told apart without colour too
FILLED = 80.0  # per cent from which an allowance is worth a look


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of one allowance is used, e.g. Allowance("D1 rows written per day, free", 250_000, 100_000, "rows")."""

    name: str
    used: float
    allowed: float
    unit: str

    @property
    def share(self) -> float:
        """Per cent of the allowance that is used; infinite where nothing is allowed."""
        if self.allowed > 0:
            return 100 * self.used / self.allowed
        return 0.0 if self.used == 0 else float("inf")

    @property
    def share_text(self) -> str:
        """The share in words: 0.03 %, 42 %, 250 %, or "none allowed"."""
        share = self.share
        if share == float("inf"):
            return "none allowed"
        return f"{share:,.0f} %" if share >= 10 or share == 0 else f"{share:.2g} %"


def bars(title: str, alt: str, rows: Sequence[tuple[str, float]], unit: str) -> Shown:
    """Horizontal bars, one for each (name, value), in the given order.  `alt` says in a sentence what they show."""
    labels = [amount(value, unit) for _, value in rows]
    figure, axes = _figure(title, len(rows))
    axes.barh([name for name, _ in rows], [value for _, value in rows], color=BLUE, height=0.6)
    top = max([value for _, value in rows], default=0) or 1
    for position, ((_, value), label) in enumerate(zip(rows, labels, strict=True)):
        axes.text(value + top * 0.01, position, label, va="center", ha="left", fontsize=9)
    axes.set_xlim(0, top * 1.18)
    axes.xaxis.set_visible(False)  # each bar says its value
    axes.spines["bottom"].set_visible(False)
    numbers = table([[name, value] for name, value in rows], ["", unit or "value"], title)
    return as_picture(figure, alt, numbers)


def ecdf(title: str, alt: str, series: Sequence[tuple[str, Sequence[float]]], unit: str) -> Shown:
    """How many per cent of each (name, values) are at most so large; below it p50, p95 and p99 by nearest rank.

    The axis is logarithmic, because the slow end is what matters; `alt` says in a sentence what is to be seen.
    """
    figure, axes = _figure(title, ECDF_ROWS)
    axes.invert_yaxis()  # counted from below here
    rows: list[tuple[str | float, ...]] = []
    for (name, values), (colour, dashes) in zip(series, _LINES, strict=False):
        counts, ordered = Counter(values), sorted(values)
        shares = [100 * (rank + 1) / len(ordered) for rank in range(len(ordered))]
        axes.step(ordered, shares, where="post", color=colour, linestyle=dashes, linewidth=1.6, label=name)
        rows.append((name, len(ordered), *(_rank(counts, percent) for percent in (50, 95, 99))))
    axes.set_xscale("log")
    axes.set_ylim(0, 101)
    axes.set_ylabel("per cent")
    axes.set_xlabel(unit)
    axes.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    columns = ("", "Answers", f"p50, {unit}", f"p95, {unit}", f"p99, {unit}")
    return as_picture(figure, alt, table(rows, columns, title, numeric=columns[1:]))


def _rank(counts: Counter[float], percent: int) -> str:
    return f"{percentile(counts, percent):,.1f}" if counts else "none"


def usage_chart(title: str, alt: str, rows: Sequence[Allowance]) -> Shown:
    """Which share of each allowance is used, with a line at 100 %; what is over it is marked in words and colour."""
    figure, axes = _figure(title, len(rows))
    shares = [min(row.share, MOST_SHARE) for row in rows]
    colours = [RED if row.share > 100 else BLUE for row in rows]
    axes.barh([row.name for row in rows], shares, color=colours, height=0.6)
    for position, (row, share) in enumerate(zip(rows, shares, strict=True)):
        label = f"{row.share_text}{', OVER' if row.share > 100 else ''}{' →' if row.share > MOST_SHARE else ''}"
        axes.text(share + 1.5, position, label, va="center", ha="left", fontsize=9)
    top = max([100.0, *shares])
    axes.axvline(100, color=GREY, linewidth=1.2, linestyle="--")
    axes.set_xlim(0, top * 1.25)
    axes.set_xlabel("per cent of the allowance (dashed: 100 %)")
    columns = ["Allowance", "Used", "Allowed", "Unit", "Share", ""]
    numbers = table(
        [[row.name, row.used, row.allowed, row.unit, row.share_text, _said(row.share)] for row in rows],
        columns,
        title,
        numeric=("Used", "Allowed", "Share"),
    )
    return as_picture(figure, alt, numbers)


def _said(share: float) -> str:
    return "over" if share > 100 else "nearly full" if share >= FILLED else ""


def _figure(title: str, count: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # no pyplot: no global state, no backend to choose
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, EDGE + BAR * max(count, 1)), layout="constrained", facecolor="white")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.invert_yaxis()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False, labelsize=9)
    return figure, axes


def as_picture(figure: Any, alt: str, numbers: Shown) -> Shown:
    """A figure of matplotlib as one picture with its alternative text, and its numbers below it."""
    import matplotlib as mpl

    out = io.BytesIO()
    # A fixed salt and no date: the same numbers give the same bytes.
    with mpl.rc_context({"svg.hashsalt": "towpath", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(out.getvalue()).decode()
    style = "max-width:100%;height:auto;background:#fff;border-radius:.4em"
    image = f'<img alt="{escaped(alt)}" src="data:image/svg+xml;base64,{data}" style="{style}">'
    return Shown(f'<figure style="margin:.5em 0">{image}</figure>{numbers.html}', f"{alt}\n\n{numbers.text}")
