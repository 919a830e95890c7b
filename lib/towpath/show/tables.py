"""Tables for people: text left, numbers right with separators, what needs attention first, long ones folded."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from towpath.checks import Check, Verdict
from towpath.show.markup import COLOURS, ORDER, Shown, chip, escaped, number

OPEN_ROWS = 20  # rows shown before a table folds
MOST_ROWS = 1_000  # rows that a page holds at all; the rest is in the result file
SHORT = 24  # characters of a text that stays on one line
WIDEST = 60  # characters of a text cell in plain text
_BORDER = "border-bottom:1px solid #8885"
_PAD = "padding:.25em .7em;vertical-align:top"

Row = Sequence[Any] | Mapping[str, Any]


def table(rows: Sequence[Row], columns: Sequence[str], caption: str, numeric: Collection[str] | None = None) -> Shown:
    """A table.  Rows are sequences in the order of `columns`, or mappings by column.

    `numeric` names the columns that are numbers; by default those that hold nothing else.
    """
    cells = [[row.get(column) for column in columns] if isinstance(row, Mapping) else list(row) for row in rows]
    right = {i for i, column in enumerate(columns) if _is_numeric(column, i, cells, numeric)}
    return Shown(_html(cells, columns, caption, right), _text(cells, columns, caption, right))


def check_table(checks: Sequence[Check], caption: str = "Checks") -> Shown:
    """The checks of a phase: FAIL first, passed ones folded under their number."""
    counts = Counter(check.verdict for check in checks)
    summary = (
        ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict]) or "no check was reported"
    )
    columns = ("Verdict", "Code", "Object", "Expected", "Found", "Next")
    ordered = sorted(checks, key=lambda check: (ORDER.index(check.verdict), check.code, check.object))
    rows = [_check_row(check) for check in ordered]
    passed = sum(1 for check in ordered if check.verdict is Verdict.PASS)
    attention = rows[: len(rows) - passed]
    title = f"{caption}: {summary}"
    html = f'<p style="margin:.4em 0"><strong>{escaped(title)}</strong></p>'
    if attention:
        html += _html(attention, columns, "", set())
    if passed:
        is_open = " open" if not attention and passed <= OPEN_ROWS else ""
        inner = _grid(rows[len(attention) :][:MOST_ROWS], columns, set()) + _more(passed - MOST_ROWS)
        html += f"<details{is_open}><summary>{passed:,} passed</summary>{inner}</details>"
    return Shown(html, _text(rows, columns, title, set()))


def sql_side_by_side(
    before: str, after: str, caption: str = "", names: tuple[str, str] = ("Source", "Target")
) -> Shown:
    """Two texts of SQL line by line; changed lines carry − and + besides their colour."""
    left, right = before.strip("\n").splitlines(), after.strip("\n").splitlines()
    rows, plain = [], []
    for kind, a, b, c, d in difflib.SequenceMatcher(a=left, b=right, autojunk=False).get_opcodes():
        old, new = left[a:b], right[c:d]
        for i in range(max(len(old), len(new))):
            one = old[i] if i < len(old) else None
            two = new[i] if i < len(new) else None
            same = kind == "equal"
            rows.append(
                _sql_cell(one, " " if same else "−", COLOURS[Verdict.FAIL])
                + _sql_cell(two, " " if same else "+", COLOURS[Verdict.PASS])
            )
        plain += [f"  {line}" for line in old] if kind == "equal" else [f"- {x}" for x in old] + [f"+ {x}" for x in new]
    head = "".join(f'<th scope="col" style="text-align:left;{_PAD}">{escaped(name)}</th>' for name in names)
    title = f'<caption style="text-align:left;font-weight:600">{escaped(caption)}</caption>' if caption else ""
    body = "".join(f'<tr style="background:none">{row}</tr>' for row in rows)
    html = (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;width:100%">'
        f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    return Shown(html, "\n".join([*([caption] if caption else []), *plain]))


def _check_row(check: Check) -> list[Any]:
    keys = f" (keys: {', '.join(check.keys[:5])}{', …' if len(check.keys) > 5 else ''})" if check.keys else ""
    return [check.verdict, check.code, f"{check.object}{keys}", check.expected, check.found, check.next]


def _is_numeric(column: str, index: int, rows: Sequence[Sequence[Any]], named: Collection[str] | None) -> bool:
    if named is not None:
        return column in named
    values = [row[index] for row in rows if row[index] is not None]
    return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and value == value and abs(value) != float("inf"):
        return number(value)
    return str(value)


def _html(rows: Sequence[Sequence[Any]], columns: Sequence[str], caption: str, right: set[int]) -> str:
    shown = _grid(rows[:OPEN_ROWS], columns, right, caption)
    folded = rows[OPEN_ROWS:MOST_ROWS]
    if folded:
        shown += f"<details><summary>{len(folded):,} more rows</summary>{_grid(folded, columns, right)}</details>"
    return shown + _more(len(rows) - MOST_ROWS)


def _more(count: int) -> str:
    return f"<p>{count:,} more rows are not shown here.</p>" if count > 0 else ""


def _grid(rows: Sequence[Sequence[Any]], columns: Sequence[str], right: set[int], caption: str = "") -> str:
    style = "text-align:left;font-weight:600;padding:.3em 0;white-space:nowrap"
    title = f'<caption style="{style}">{escaped(caption)}</caption>'
    sides = ["right" if i in right else "left" for i in range(len(columns))]
    head = "".join(
        f'<th scope="col" style="text-align:{side};{_PAD};{_BORDER}">{escaped(column)}</th>'
        for column, side in zip(columns, sides, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_cell(value, side) for value, side in zip(row, sides, strict=True)) + "</tr>" for row in rows
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;margin:0">'
        f"{title if caption else ''}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any, side: str) -> str:
    if isinstance(value, Verdict):
        return f'<td style="text-align:left;{_PAD}">{chip(value)}</td>'
    text = _said(value)
    if side == "right":
        style = "white-space:nowrap;font-variant-numeric:tabular-nums"
    else:
        style = "white-space:nowrap" if len(text) <= SHORT else "min-width:13em;overflow-wrap:break-word"
    return f'<td style="text-align:{side};{_PAD};{style}">{escaped(text)}</td>'


def _sql_cell(line: str | None, mark: str, colour: str) -> str:
    style = (
        "text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace;width:50%"
    )
    if line is None:
        return f'<td style="{style}"></td>'
    edge = f"border-left:.3em solid {colour}" if mark.strip() else "border-left:.3em solid transparent"
    return f'<td style="{style};{edge};padding:0 .5em">{mark} {escaped(line)}</td>'


def _text(rows: Sequence[Sequence[Any]], columns: Sequence[str], caption: str, right: set[int]) -> str:
    cells = [[_cut(_said(value)) for value in row] for row in rows[:OPEN_ROWS]]
    widths = [max([len(column), *(len(row[i]) for row in cells)]) for i, column in enumerate(columns)]
    lines = [caption] if caption else []
    for row in [list(columns), *cells]:
        parts = [f"{v:>{widths[i]}}" if i in right else f"{v:<{widths[i]}}" for i, v in enumerate(row)]
        lines.append("  ".join(parts).rstrip())
    if len(rows) > OPEN_ROWS:
        lines.append(f"… {len(rows) - OPEN_ROWS:,} more rows")
    return "\n".join(lines)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
