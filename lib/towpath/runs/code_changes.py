"""In which cells two executed notebooks differ: their sources, as nbdime tells them, without outputs and metadata."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INJECTED = "injected-parameters"  # differs by its nature; the plan says which values do


@dataclass(frozen=True, slots=True)
class Code:
    """The code and prose of one phase in two runs."""

    phase: str
    text: str  # what differs, line by line; "" where nothing does
    missing: str = ""  # why they could not be compared


def code_of(phase: str, a: Path, b: Path) -> Code:
    """Compare two executed notebooks of one phase.  Never raises for what lies in the files."""
    import nbformat

    read = []
    for side, path in (("A", a), ("B", b)):
        try:
            notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        except FileNotFoundError:
            return Code(phase, "", f"{side} holds no notebook of it")
        except Exception as error:  # nbformat raises whatever its parsers raise
            return Code(phase, "", f"the notebook of {side} is none: {type(error).__name__}")
        read.append(_sources(notebook))
    return Code(phase, "") if read[0] == read[1] else Code(phase, _told(read[0], read[1]))


def _sources(notebook: Any) -> Any:
    """The notebook as somebody wrote it: cells with id, kind and source, nothing of what an execution leaves."""
    from nbformat.v4 import new_notebook

    made: Any = new_notebook()  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if INJECTED in cell.metadata.get("tags", []):
            continue
        kept = {"id": cell.get("id", ""), "cell_type": cell.cell_type, "source": cell.source, "metadata": {}}
        if cell.cell_type == "code":
            kept |= {"execution_count": None, "outputs": []}
        made.cells.append(type(made)(kept))
    return made


def _told(a: Any, b: Any) -> str:
    """The difference as nbdime prints it, without colour and without programs of the machine."""
    from nbdime import diff_notebooks
    from nbdime.prettyprint import PrettyPrintConfig, pretty_print_diff

    out = io.StringIO()
    make: Any = PrettyPrintConfig  # nbdime is not typed
    tell: Any = pretty_print_diff
    difference: Any = diff_notebooks
    tell(a, difference(a, b), "", make(out=out, use_color=False, use_git=False, use_diff=False))
    return out.getvalue().strip()
