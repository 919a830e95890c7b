"""What banner, tables, progress and charts share: escaping, numbers, verdict chips, and how they are displayed."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from towpath.checks import Verdict

# White text on each of these has a contrast of at least 5.9 (WCAG 2 asks for 4.5), on light and dark pages alike.
COLOURS: Mapping[Verdict, str] = {
    Verdict.PASS: "#137333",
    Verdict.WARN: "#8a5a00",
    Verdict.WAIVED: "#6b4fa0",
    Verdict.FAIL: "#b3261e",
    Verdict.DRY_RUN: "#1558b0",
    Verdict.INCOMPLETE: "#5a5f66",
}
# What a reader must see first stands first.
ORDER = (Verdict.FAIL, Verdict.INCOMPLETE, Verdict.DRY_RUN, Verdict.WAIVED, Verdict.WARN, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Shown:
    """Something that a notebook displays: as HTML, and as plain text for readers without it."""

    html: str
    text: str

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return self.bundle

    @property
    def bundle(self) -> dict[str, str]:
        """The MIME bundle."""
        return {"text/html": self.html, "text/plain": self.text}

    def __str__(self) -> str:
        return self.text


def escaped(text: object) -> str:
    """The text for HTML, quotes included."""
    return html.escape(str(text), quote=True)


def chip(verdict: Verdict) -> str:
    """A verdict as a filled word."""
    style = f"background:{COLOURS[verdict]};color:#fff;padding:.1em .5em;border-radius:.3em;font-weight:600;"
    return f'<span style="{style}white-space:nowrap">{escaped(verdict)}</span>'


def number(value: float, digits: int = 2) -> str:
    """A number with thousands separators; whole numbers stay whole, small fractions keep three significant digits."""
    if isinstance(value, int) or (value == int(value) if abs(value) < 1e15 else False):
        return f"{int(value):,}"
    if abs(value) >= 1:
        return f"{value:,.{0 if abs(value) >= 1000 else digits}f}"
    return f"{value:.3g}"


def amount(value: float, unit: str) -> str:
    """A number with its unit; bytes become kB, MB, GB (powers of ten, as Cloudflare bills)."""
    if unit not in ("bytes", "B"):
        return f"{number(value, 1)} {unit}".strip()
    for name, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= size:
            return f"{value / size:,.1f} {name}"
    return f"{value:,.0f} bytes"


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def displayed(shown: Shown, display_id: str) -> Any:
    """Display it here under an id and return the handle whose `update` rewrites it."""
    from IPython.display import display

    return display(shown.bundle, raw=True, display_id=display_id)  # type: ignore[no-untyped-call]


def shell() -> Any:
    """The IPython shell of a notebook, or None elsewhere."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    found = get_ipython()
    return found if getattr(found, "kernel", None) is not None else None
