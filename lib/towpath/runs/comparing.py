"""The page that shows two runs side by side.  It lies beside the records, never in one: a sealed run stays as it is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from towpath.errors import WrongUse
from towpath.runs.comparison import PhasePair, compare_runs
from towpath.runs.files import write_text
from towpath.runs.folder import RunFolder
from towpath.runs.rendering import fitting, in_order, rendered
from towpath.runs.standing import standing
from towpath.secrets import scrub
from towpath.show.markup import duration

ROOM = 90_000  # bytes of the page for each of its seven tables and texts
SUFFIX = ".html"


def comparison_path(outputs: Path, a: RunFolder, b: RunFolder) -> Path:
    """Where the page of a comparison lies: beside the environments of its system."""
    return outputs / a.system / f"{a.run_id}-against-{b.run_id}{SUFFIX}"


def render_comparison(a: RunFolder, b: RunFolder, path: Path) -> Path:
    """Write the page that holds run `b` against run `a`, and return its path.

    Raises WrongUse for a run against itself, for two systems, and for a path inside a run.
    """
    if a.path == b.path:
        raise WrongUse("is the same run", object=b.run_id, next="name another run after --against")
    if a.system != b.system:
        what = f"is a run of {b.system}, not of {a.system}"
        raise WrongUse(what, object=b.run_id, next="compare two runs of one system")
    for folder in path.resolve().parents:
        if (folder / "run.json").is_file():
            step = "write it beside the runs: a record that gets another file is not whole any more"
            raise WrongUse("lies inside a run", object=str(path), next=step)
    if path.suffix != SUFFIX or path.is_dir():
        raise WrongUse("is no name for a page", object=str(path), next=f"end it with {SUFFIX}")
    write_text(path, comparison_text(a, b, path))
    return path


def comparison_text(a: RunFolder, b: RunFolder, path: Path) -> str:
    """The page that holds run `b` against run `a`; `path` is where it will lie, for its links."""
    found = compare_runs(a.path, b.path)
    plan, plan_left = fitting(found.plan, ROOM)
    numbers, numbers_left = fitting(found.numbers, ROOM)
    rows, rows_left = fitting(found.rows, ROOM)
    changed, changed_left = fitting(found.changed, ROOM)
    longest = max([second for pair in found.phases for second in pair.seconds], default=0.0)
    return scrub(
        rendered(
            "comparison.html.j2",
            system=a.system,
            found=found,
            sides=[_side("A", a, found.a, path), _side("B", b, found.b, path)],
            lines=found.lines,
            plan=plan,
            plan_left=plan_left,
            phases=[_row(pair, longest) for pair in found.phases],
            numbers=numbers,
            numbers_left=numbers_left,
            rows=rows,
            rows_left=rows_left,
            findings=[
                ("new", "New in B", *fitting(in_order(found.new), ROOM)),
                ("gone", "Gone: only A has them", *fitting(in_order(found.gone), ROOM)),
            ],
            changed=changed,
            changed_left=changed_left,
            code=_texts([(one.phase, one.text) for one in found.code if one.text]),
            unknown=[(one.phase, one.missing) for one in found.code if one.missing],
            home=_to(path, a.path.parents[2] / "index.html"),
        )
    )


def _side(letter: str, run: RunFolder, view: object, path: Path) -> dict[str, object]:
    return {
        "letter": letter,
        "view": view,
        "link": _to(path, run.path / "index.html"),
        "seal": standing(run.path).sentence,
    }


def _to(page: Path, target: Path) -> str:
    """The way from a page to a file, as a link."""
    return Path(os.path.relpath(target.resolve(), page.resolve().parent)).as_posix()


def _row(pair: PhasePair, longest: float) -> dict[str, object]:
    scale = 100 / longest if longest else 0.0
    sides = []
    for attempt, seconds in zip((pair.a, pair.b), pair.seconds, strict=True):
        took = duration(seconds) if seconds else ""
        attempts = f", attempt {attempt.number}" if attempt and attempt.number > 1 else ""
        verdict = attempt.verdict if attempt else None
        sides.append({"verdict": verdict, "length": seconds * scale, "took": f"{took}{attempts}".lstrip(", ")})
    return {"phase": pair.phase, "a": sides[0], "b": sides[1]}


def _texts(texts: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Texts cut to the room of the page, and how many characters are left out of each."""
    room = 2 * ROOM // max(len(texts), 1)
    return [(name, text[:room], max(len(text) - room, 0)) for name, text in texts]
