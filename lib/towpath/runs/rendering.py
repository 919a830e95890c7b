"""What all pages share: templates, style, how much of a table goes onto a page, and the filter over checks."""

from __future__ import annotations

import functools
import html
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from towpath.checks import Check, Verdict
from towpath.plan.answers import SURFACES
from towpath.plan.rules import RULES as PLAN
from towpath.runs.rules import RULES as RUNS
from towpath.show.markup import ORDER

TEMPLATES = Path(__file__).parent / "templates"
LARGEST = 1_000_000  # bytes of a page
LONGEST = 600  # characters of one cell; the whole text stands in the result file
OVERHEAD = 330  # bytes of tags around the texts of one row
TITLES = {code: rule.title for code, rule in {**SURFACES, **PLAN, **RUNS}.items()}
_STYLE = re.compile(
    r'<(\w+)((?:\s(?!style=|class=)[\w-]+="[^"]*")*)\sstyle="((?:(?!url\()[^"<>{}&\\]){12,})"(?=[^>]*>)(?![^>]*\sclass=)'
)
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Table:
    """The checks of a run as one table with a filter, as far as the page has room for them."""

    rows: Sequence[tuple[str, Check]]
    left: int  # checks that the page has no room for
    verdicts: Sequence[tuple[Verdict, int]]  # over all checks, also those that are left out
    surfaces: Sequence[tuple[str, int]]

    @property
    def total(self) -> int:
        """How many checks there are."""
        return sum(count for _, count in self.verdicts)

    @property
    def open(self) -> int:
        """How many are not PASS."""
        return sum(count for verdict, count in self.verdicts if verdict is not Verdict.PASS)


def table_of(checks: Sequence[tuple[str, Check]], room: int) -> Table:
    """Checks in the order in which a reviewer reads them, up to `room` bytes."""
    ordered = in_order(checks)
    rows, left = fitting(ordered, room)
    verdicts = Counter(check.verdict for _, check in checks)
    surfaces = Counter(check.surface for _, check in checks)
    return Table(rows, left, [(v, verdicts[v]) for v in ORDER if verdicts[v]], sorted(surfaces.items()))


def in_order(checks: Iterable[tuple[str, Check]]) -> list[tuple[str, Check]]:
    """What needs somebody first, then by phase, code and object."""
    return sorted(checks, key=lambda item: (ORDER.index(item[1].verdict), item[0], item[1].code, item[1].object))


def fitting(rows: Sequence[_Row], room: int) -> tuple[Sequence[_Row], int]:
    """The first rows that have room on the page, in bytes of HTML, and how many are left out."""
    used = 0
    for count, row in enumerate(rows):
        used += _weight(row)
        if used > room:
            return rows[:count], len(rows) - count
    return rows, 0


def _weight(row: Any) -> int:
    if isinstance(row, Check):
        texts = (row.object, row.expected, row.found, row.next, *row.keys[:8])
        return OVERHEAD + sum(_weight(text) for text in texts) + len(TITLES.get(row.code, ""))
    if is_dataclass(row):
        return OVERHEAD + sum(_weight(getattr(row, one.name)) for one in fields(row))
    if isinstance(row, tuple):
        return OVERHEAD + sum(_weight(one) for one in row)
    return len(html.escape(short(str(row))).encode())


def short(text: str, most: int = LONGEST) -> str:
    """A text that a cell has room for."""
    return text if len(text) <= most + 60 else f"{text[:most]}… ({len(text) - most:,} more characters)"


def said(counts: Mapping[Verdict, int]) -> str:
    """1 FAIL, 3 WAIVED, 96 PASS."""
    return ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in ORDER if counts.get(verdict))


def time_of(text: str) -> str:
    """2026-01-31T08:15:00.123Z → 2026-01-31 08:15:00 UTC."""
    return f"{text[:10]} {text[11:19]} UTC" if len(text) >= 19 and text.endswith("Z") else text


def slug(verdict: Verdict | None) -> str:
    """The word of a verdict as a class of the style: dry-run."""
    return str(verdict).lower().replace(" ", "-") if verdict else "none"


def thinner(page: str) -> str:
    """The page with styles that many elements repeat said once, as classes; it looks the same."""
    counted = Counter(match[3] for match in _STYLE.finditer(page))
    names = {style: f"y{number}" for number, (style, count) in enumerate(counted.most_common(200)) if count > 1}
    if not names or "</style>" not in page:
        return page

    def named(match: re.Match[str]) -> str:
        name = names.get(match[3])
        return match[0] if name is None else f'<{match[1]}{match[2]} class="{name}"'

    # `!important`, as a style at the element wins over every rule of the page
    rules = "".join(f".{name}{{{_important(style)}}}" for style, name in names.items())
    return _STYLE.sub(named, page).replace("</style>", f"{rules}</style>", 1)


def _important(style: str) -> str:
    parts = [part.strip() for part in style.split(";")]
    return ";".join(f"{part}!important" for part in parts if part)


def rendered(template: str, **values: Any) -> str:
    """A page from one of our templates; everything that is put into it is escaped."""
    return str(_jinja().get_template(template).render(css=_css(), **values))


def head_of(title: str) -> str:
    """What stands in the head of a page that nbconvert renders."""
    source = "{%- import 'parts.html.j2' as parts -%}{{ parts.head(title, css) }}"
    return str(_jinja().from_string(source).render(title=title, css=_css()))


@functools.cache
def _css() -> str:
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


@functools.cache
def _jinja() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    made.filters |= {"short": short, "slug": slug, "time": time_of}
    made.globals["titles"] = TITLES
    return made
