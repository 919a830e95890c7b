"""What can be known of a notebook before a kernel starts: does it declare every parameter it will be given?"""

from __future__ import annotations

import ast
from pathlib import Path

from towpath.errors import WrongUse
from towpath.plan.params import Params
from towpath.plan.root import inside
from towpath.runs.files import read_json


def notebook_path(root: Path, phase: str) -> Path:
    """The notebook of a phase.  Raises WrongUse when there is none."""
    path = root / "notebooks" / f"{phase}.ipynb"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in (root / "notebooks").glob("*.ipynb"))) or "none"
        raise WrongUse("no such notebook", object=inside(root, path), next=f"there are: {known}", code="PL009")
    return path


def check_parameters(root: Path, path: Path) -> None:
    """Refuse a notebook whose cell tagged `parameters` lacks a key of Params.  Raises WrongUse naming the keys.

    papermill would pass the key anyway and only log it; the notebook would then run with a value that it never reads.
    """
    missing = [key for key in Params.model_fields if key not in _declared(root, path)]
    if missing:
        raise WrongUse(
            f"does not declare {', '.join(missing)}",
            object=inside(root, path),
            next="add them to the cell tagged `parameters`",
            code="PL009",
        )


def _declared(root: Path, path: Path) -> set[str]:
    shown = inside(root, path)
    try:
        cells = [c for c in read_json(path)["cells"] if "parameters" in c.get("metadata", {}).get("tags", ())]
        source = "".join(cells[0]["source"])
    except (KeyError, TypeError, AttributeError, IndexError):
        step = "tag its first code cell `parameters`"
        raise WrongUse("has no cell tagged `parameters`", object=shown, next=step, code="PL009") from None
    try:
        body = ast.parse(source).body
    except SyntaxError as error:
        what = f"line {error.lineno} of its parameters cell is not Python"
        raise WrongUse(what, object=shown, next="correct it", code="PL009") from None
    names: set[str] = set()
    for line in body:
        targets = (
            line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names
