"""The contract of a notebook, as rules: each takes the notebook as plain JSON and returns what is wrong, in words.

`tests/notebooks/test_contract.py` holds every notebook to every rule, and every rule to a notebook that breaks it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from towpath.plan.params import Params

Notebook = dict[str, Any]
Rule = Callable[[Notebook], list[str]]

ROOT = Path(__file__).resolve().parents[2]
VOYAGE = ("00-ready", "01-inventory", "02-schema", "03-export", "04-import", "05-validate", "06-cutover")
PHASES = (*VOYAGE, "07-roll-back")  # the last one runs only when it is named
LABELS = ("Purpose", "Changes", "Safe to repeat", "Needs", "Gives", "Undo")
HEAD = ("purpose", "about-parameters", "parameters", "open", "open-run", "operators-note")
TAIL = ("checks", "check-table", "verdict", "close-run")
METADATA = {"phase": str, "changes": str, "needs": list, "gives": list, "undo": str, "seconds": int}
COMPARED, NOT_COMPARED = "nbval-check-output", "nbval-ignore-output"
TAGS = {"parameters", "hide-input", COMPARED, NOT_COMPARED}
LINES, CELLS = 10, 3
# What a step may begin with: what somebody does, not what something is.
VERBS = frozenset(
    """Apply Ask Close Compare Convert Count Estimate Export Find Freeze Give Hand Judge List Look Make Measure Move
    Point Prove Read Put Send Take Upload""".split()  # noqa: SIM905 - a list of words
)
FORBIDDEN = frozenset(
    ("exit", "quit", "input", "exec", "eval", "compile", "breakpoint", "get_ipython", "__import__", "print", "open")
)
ID = re.compile(r"^[a-z]+(-[a-z]+)*$")  # words, which is what a random id (8 hex digits) never is
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def source(cell: dict[str, Any]) -> str:
    """The text of a cell, however it is stored."""
    return "".join(cell["source"])


def code(notebook: Notebook) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def work(notebook: Notebook) -> list[dict[str, Any]]:
    """The code cells but for the one with parameters."""
    return [cell for cell in code(notebook) if "parameters" not in tags(cell)]


def tags(cell: dict[str, Any]) -> list[str]:
    return list(cell["metadata"].get("tags", ()))


@dataclass(frozen=True)
class Section:
    """A heading, the words under it, and the code cells that follow."""

    heading: str
    words: str
    cells: tuple[dict[str, Any], ...]


def steps(notebook: Notebook) -> list[Section]:
    """The sections between the operator's note and the checks."""
    out: list[tuple[str, str, list[dict[str, Any]]]] = []
    for cell in notebook["cells"][len(HEAD) : -len(TAIL)]:
        if cell["cell_type"] == "markdown":
            first, _, rest = source(cell).partition("\n")
            out.append((first, rest.strip(), []))
        elif out:
            out[-1][2].append(cell)
        else:
            out.append(("", "", [cell]))
    return [Section(heading, words, tuple(cells)) for heading, words, cells in out]


def trees(notebook: Notebook) -> Iterator[tuple[str, ast.Module]]:
    """The code cells that are Python, as trees."""
    for cell in work(notebook):
        try:
            yield cell["id"], ast.parse(source(cell))
        except SyntaxError:
            continue


def _nodes(notebook: Notebook, kinds: tuple[type[ast.AST], ...]) -> list[str]:
    return [
        f"{id}: {type(node).__name__} in line {getattr(node, 'lineno', 0)}"
        for id, tree in trees(notebook)
        for node in ast.walk(tree)
        if isinstance(node, kinds)
    ]


# -- the rules


def order_of_cells(notebook: Notebook) -> list[str]:
    ids = [cell["id"] for cell in notebook["cells"]]
    kinds = {cell["id"]: cell["cell_type"] for cell in notebook["cells"]}
    expected = {**dict.fromkeys((*HEAD, *TAIL), "markdown"), **dict.fromkeys(("parameters", "open-run"), "code")}
    expected |= dict.fromkeys(("check-table", "close-run"), "code")
    wrong = [f"the first cells are {ids[: len(HEAD)]}"] if tuple(ids[: len(HEAD)]) != HEAD else []
    wrong += [f"the last cells are {ids[-len(TAIL) :]}"] if tuple(ids[-len(TAIL) :]) != TAIL else []
    wrong += [f"{id} is {kinds[id]}" for id, kind in expected.items() if id in kinds and kinds[id] != kind]
    return wrong + (["there is no step"] if not steps(notebook) else [])


def purpose(notebook: Notebook) -> list[str]:
    text = source(notebook["cells"][0])
    rows = re.findall(r"^\| \*\*(.+?)\*\* \| (.*?) \|$", text, re.MULTILINE)
    wrong = [f"labels are {[label for label, _ in rows]}"] if tuple(label for label, _ in rows) != LABELS else []
    wrong += [f"{label} says nothing" for label, value in rows if len(value.strip()) < 4]
    phase = str(notebook["metadata"].get("towpath", {}).get("phase", ""))
    number, _, word = phase.partition("-")
    return wrong + (
        []
        if text.startswith(f"# {number} · {word.replace('-', ' ').capitalize()}\n")
        else ["the title is not the phase"]
    )


def metadata(notebook: Notebook) -> list[str]:
    ours = notebook["metadata"].get("towpath", {})
    if ours.keys() != METADATA.keys():
        return [f"keys of towpath are {sorted(ours)}"]
    wrong = [f"{key} is {ours[key]!r}" for key, kind in METADATA.items() if not isinstance(ours[key], kind)]
    if wrong:
        return wrong
    wrong += [f"{key} is empty" for key in ("changes", "undo", "gives") if not ours[key]]
    wrong += [] if ours["phase"] in PHASES else [f"phase {ours['phase']}"]
    earlier = PHASES[: PHASES.index(ours["phase"])] if ours["phase"] in PHASES else ()
    wrong += [f"needs {need}, which is not an earlier phase" for need in ours["needs"] if need not in earlier]
    return wrong + ([] if 0 < ours["seconds"] <= 600 else [f"seconds {ours['seconds']}"])


def ids(notebook: Notebook) -> list[str]:
    found = [str(cell.get("id", "")) for cell in notebook["cells"]]
    wrong = [f"{id} is there {found.count(id)} times" for id in dict.fromkeys(found) if found.count(id) > 1]
    return wrong + [f"{id!r} is no name" for id in found if not ID.match(id)]


def kernel(notebook: Notebook) -> list[str]:
    name = notebook["metadata"].get("kernelspec", {}).get("name")
    version = (notebook["nbformat"], notebook["nbformat_minor"])
    return ([] if name == "python3" else [f"kernel {name}"]) + ([] if version == (4, 5) else [f"nbformat {version}"])


def no_traces_of_a_run(notebook: Notebook) -> list[str]:
    wrong = [f"{c['id']} has outputs" for c in code(notebook) if c["outputs"]]
    wrong += [f"{c['id']} has an execution count" for c in code(notebook) if c["execution_count"] is not None]
    wrong += [
        f"{c['id']} has metadata {sorted(c['metadata'])}" for c in notebook["cells"] if c["metadata"].keys() - {"tags"}
    ]
    known = {"kernelspec", "language_info", "towpath"}
    return wrong + [f"metadata {key}" for key in notebook["metadata"] if key not in known]


def few_tags(notebook: Notebook) -> list[str]:
    """Whether the golden copy is compared is said of each cell, so that nobody forgets it."""
    wrong = [f"{c['id']}: tag {tag}" for c in notebook["cells"] for tag in tags(c) if tag not in TAGS]
    wrong += [f"{c['id']}: markdown with tags" for c in notebook["cells"] if c["cell_type"] == "markdown" and tags(c)]
    said = {c["id"]: [t for t in tags(c) if t in (COMPARED, NOT_COMPARED)] for c in work(notebook)}
    wrong += [f"{id}: neither {COMPARED} nor {NOT_COMPARED}" for id, found in said.items() if len(found) != 1]
    first = [c["id"] for c in notebook["cells"] if "parameters" in tags(c)]
    return wrong + ([] if first == ["parameters"] else [f"tagged parameters: {first}"])


def short_cells(notebook: Notebook) -> list[str]:
    counted = {c["id"]: sum(bool(line.strip()) for line in source(c).splitlines()) for c in work(notebook)}
    return [f"{id} has {count} lines" for id, count in counted.items() if not 0 < count <= LINES]


def no_definitions(notebook: Notebook) -> list[str]:
    return _nodes(notebook, DEFINITIONS)


def no_loops(notebook: Notebook) -> list[str]:
    return _nodes(notebook, LOOPS)


def plain_python(notebook: Notebook) -> list[str]:
    """No `!command`, no `%magic`, no `what?`: what is left is Python, and an error in it stops the run."""
    wrong = []
    for cell in code(notebook):
        lines = source(cell).splitlines()
        wrong += [f"{cell['id']}: {line.strip()}" for line in lines if line.lstrip().startswith(("!", "%", "?"))]
        try:
            ast.parse(source(cell))
        except SyntaxError as error:
            wrong.append(f"{cell['id']}: line {error.lineno} is not Python")
    return wrong


def no_way_out(notebook: Notebook) -> list[str]:
    """No exit, no question to somebody who is not there, nothing around the library."""
    wrong = []
    for id, tree in trees(notebook):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and node.id in FORBIDDEN:
                wrong.append(f"{id}: {node.id}")
            if isinstance(node, ast.Attribute) and node.attr in ("exit", "_exit", "abort", "system"):
                wrong.append(f"{id}: .{node.attr}")
            if isinstance(node, ast.Try | ast.TryStar | ast.Raise):
                wrong.append(f"{id}: {type(node).__name__}")
    return wrong


def imports(notebook: Notebook) -> list[str]:
    wrong = []
    for id, tree in trees(notebook):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = ["." * node.level + (node.module or "")]
            else:
                continue
            wrong += [f"{id} imports {name}" for name in names if name.split(".")[0] != "towpath"]
            wrong += [f"{id} imports, which open-run does"] if id != "open-run" else []
    return wrong


def parameters(notebook: Notebook) -> list[str]:
    """Exactly the keys of Params, typed, each with its comment, with the values of Joan's rehearsal."""
    cell = next((c for c in code(notebook) if c["id"] == "parameters"), None)
    if cell is None:
        return ["there is none"]
    unset = {name: field.default for name, field in Params.model_fields.items() if not field.is_required()}
    given = unset | yaml.safe_load((ROOT / "params" / "joan" / "local.yaml").read_text(encoding="utf-8"))
    lines = source(cell).splitlines()
    wrong, found = [], []
    for line in lines:
        shape = re.fullmatch(r"(\w+): (str|bool|int|float) = (.+?)  # (\S.{7,})", line)
        if shape is None:
            wrong.append(f"is not `name: type = value  # comment`: {line}")
            continue
        name, kind, text, _ = shape.groups()
        found.append(name)
        value = ast.literal_eval(text)
        annotation = Params.model_fields[name].annotation if name in Params.model_fields else None
        typed = annotation.__name__ if annotation in (bool, int, float) else "str"
        wrong += [f"{name} is {kind}"] if kind != typed else []
        wrong += [f"{name} is {value!r}, the params file says {given.get(name)!r}"] if value != given.get(name) else []
    return wrong + ([] if found == list(Params.model_fields) else [f"the keys are {found}"])


def steps_say_what_to_expect(notebook: Notebook) -> list[str]:
    wrong = []
    for step in steps(notebook):
        match = re.fullmatch(r"## (\w+) \S.*", step.heading)
        wrong += [f"{step.heading!r} does not begin with a verb"] if not match or match[1] not in VERBS else []
        wrong += [f"{step.heading!r} says nothing"] if not step.words else []
        expects = re.search(r"\bExpected: \S.{10,}[.]", step.words)
        wrong += [f"{step.heading!r} does not say what is expected"] if step.cells and not expects else []
    return wrong


def few_cells_a_step(notebook: Notebook) -> list[str]:
    return [f"{s.heading!r} has {len(s.cells)} code cells" for s in steps(notebook) if len(s.cells) > CELLS]


def opens_and_closes(notebook: Notebook) -> list[str]:
    """Opened first, under its own name, and closed last: in between nothing else opens or closes."""
    cells = {cell["id"]: source(cell) for cell in work(notebook)}
    phase = notebook["metadata"].get("towpath", {}).get("phase", "")
    first, last = cells.get("open-run", ""), cells.get("close-run", "")
    tail = f'run = open_run("{phase}", vars())\nbench = Workbench(run)\nbench.open()'
    wrong = [] if first.endswith(tail) else ["open-run does not open this phase"]
    wrong += [] if re.fullmatch(r'bench\.close\("[^"\n]{20,}\."\)', last) else ["close-run does not just close"]
    wrong += [] if cells.get("check-table") == "panels.checks(bench)" else ["check-table does not show the checks"]
    between = {id: text for id, text in cells.items() if id not in ("open-run", "close-run")}
    return wrong + [f"{id} opens or closes" for id, text in between.items() if re.search(r"open_run|\.close\(", text)]


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        order_of_cells,
        purpose,
        metadata,
        ids,
        kernel,
        no_traces_of_a_run,
        few_tags,
        short_cells,
        no_definitions,
        no_loops,
        plain_python,
        no_way_out,
        imports,
        parameters,
        steps_say_what_to_expect,
        few_cells_a_step,
        opens_and_closes,
    )
}
