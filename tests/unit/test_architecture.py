"""The architecture as docs/architecture.md draws it is the one that the imports show."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import markdown

LIB = markdown.ROOT / "lib" / "towpath"
MODULES = sorted(LIB.rglob("*.py"))
LONGEST, GOAL = 400, 300  # lines of a module
LONGER: dict[str, str] = {}  # module -> why it may be longer than the goal, up to LONGEST

# room -> what it may import from towpath; `room.module` allows that one module and nothing else of the room
WORDS = {"checks", "errors", "secrets"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "checks": set(),
    "secrets": {"errors"},
    "sensitive": set(),
    "signing": {"errors", "secrets"},
    "cloudflare": {"errors", "secrets"},
    "tables": {"checks", "errors", "sensitive", "cloudflare"},
    "percentiles": set(),
    "findings": {"checks"},
    "streams": {"errors"},
    "objects": {"checks", "errors", "findings", "streams"},
    "keys": {*WORDS, "cloudflare", "findings", "streams"},
    "jobs": {*WORDS, "cloudflare", "findings", "streams"},
    "postgresql": {*WORDS, "sensitive", "tables.dialect"},
    "fitting": {"checks", "errors", "sensitive", "cloudflare.limits", "tables", "postgresql"},
    "traffic": {"checks", "errors", "cloudflare", "percentiles"},
    "routes": {*WORDS, "findings", "streams"},
    "parity": {*WORDS, "percentiles", "sensitive", "routes"},
    "plan": {
        *WORDS,
        "tables.rules",
        "objects.rules",
        "keys.rules",
        "jobs.rules",
        "parity.forms",
        "parity.rules",
        "fitting.rules",
        "fitting.spec",
        "postgresql.rules",
        "routes.rules",
    },
    "show": {*WORDS, "percentiles"},
    "runs": {*WORDS, "signing", "plan", "show.markup"},
    "local": {"errors", "secrets", "cloudflare"},
    "workbench": {
        "checks",
        "errors",
        "sensitive",
        "cloudflare",
        "tables",
        "objects",
        "keys",
        "jobs",
        "fitting",
        "postgresql",
        "routes",
        "parity",
        "local",
        "rehearsal.sides",
        "traffic",
        "show",
        "runs.attempt",
        "runs.rules",
        "plan.rules",
    },
    "places": {*WORDS, "cloudflare.r2", "objects", "plan.ends", "plan.params", "runs"},
    "rehearsal": {"checks", "errors", "cloudflare", "local", "plan", "runs", "traffic"},
    "cli": {"checks", "errors", "signing", "plan", "runs", "places", "local", "rehearsal", "routes"},
    "__main__": {"cli"},
}
NOTEBOOKS_MAY_IMPORT = {"towpath.show", "towpath.runs.run", "towpath.workbench"}


def room_of(path: Path) -> str:
    """The room that a module belongs to."""
    first = path.relative_to(LIB).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of towpath that a tree imports, also inside functions: towpath.plan.params, towpath.objects, …"""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their module in full"
            names = [alias.name for alias in node.names] if node.module == "towpath" else []
            yield from [f"towpath.{name}" for name in names] or [node.module or ""]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def edges(path: Path) -> set[str]:
    """What a module imports of other rooms, as `room` or `room.module`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [name.split(".") for name in imported(tree) if name.split(".")[0] == "towpath"]
    return {".".join(parts[1:3]) for parts in names if parts[1] != room_of(path)}


def allowed(edge: str, permissions: set[str]) -> bool:
    """Whether a room's permissions cover an edge."""
    return edge in permissions or edge.split(".")[0] in permissions


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIB).as_posix())
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    if path.parent == LIB and path.name == "__init__.py":
        assert edges(path) == set()
        return
    permissions = MAY_IMPORT[room_of(path)]
    assert sorted(edge for edge in edges(path) if not allowed(edge, permissions)) == []


def test_every_permission_is_used() -> None:
    used: dict[str, set[str]] = {}
    for path in MODULES:
        used.setdefault(room_of(path), set()).update(edges(path))
    for room, permissions in MAY_IMPORT.items():
        idle = [one for one in permissions if not any(allowed(edge, {one}) for edge in used[room])]
        assert idle == [], f"{room} may import {idle} and does not: take the permission away"


def test_imports_run_one_way() -> None:
    above: dict[str, set[str]] = {room: {one.split(".")[0] for one in may} for room, may in MAY_IMPORT.items()}
    while above:
        free = [room for room, needs in above.items() if not needs & above.keys()]
        assert free, f"these rooms import each other in a circle: {sorted(above)}"
        for room in free:
            del above[room]


def test_the_page_draws_these_rooms_and_permissions() -> None:
    page = markdown.ROOT / "docs" / "architecture.md"
    drawn = {markdown.code(row[0])[0]: set(markdown.code(row[1])) for row in markdown.rows(markdown.text(page), "room")}
    assert drawn == {room: may for room, may in MAY_IMPORT.items() if room != "__main__"}


def test_notebooks_call_the_workbench_and_not_the_surfaces() -> None:
    for path in sorted((markdown.ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        names = {name for source in sources for name in imported(ast.parse(source)) if name.startswith("towpath")}
        assert names <= NOTEBOOKS_MAY_IMPORT, path.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIB).as_posix())
def test_a_module_is_short(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    name = path.relative_to(LIB).as_posix()
    assert length <= (LONGEST if name in LONGER else GOAL), f"{length} lines: divide it, or say why in LONGER"
    assert name not in LONGER or length > GOAL, f"{name} is short again: take it out of LONGER"


def public(tree: ast.Module) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Public classes, functions and methods with their names; what a private class holds is private."""
    waiting: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    while waiting:
        prefix, holder = waiting.pop()
        for node in holder.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                yield f"{prefix}{node.name}", node
                if isinstance(node, ast.ClassDef):
                    waiting.append((f"{prefix}{node.name}.", node))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(LIB).as_posix())
def test_what_is_public_explains_itself(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = ast.get_docstring(tree) or ""
    assert len(said.split()) > 2, "the module's docstring says nothing"
    for name, node in public(tree):
        assert ast.get_docstring(node), f"{name} (line {node.lineno}) has no docstring"
        if isinstance(node, ast.ClassDef):
            continue
        assert node.returns is not None, f"{name} (line {node.lineno}) does not say what it returns"
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        bare = [one.arg for one in every if one and one.annotation is None and one.arg not in ("self", "cls")]
        assert bare == [], f"{name} (line {node.lineno})"


@pytest.mark.parametrize("room", ["tables", "runs"])
def test_a_large_room_says_what_each_of_its_modules_is_for(room: str) -> None:
    tree = ast.parse((LIB / room / "__init__.py").read_text(encoding="utf-8"))
    words = set(re.findall(r"\w+", ast.get_docstring(tree) or ""))
    modules = {path.stem for path in (LIB / room).glob("*.py")} - {"__init__"}
    assert len(modules) > 15
    assert sorted(modules - words) == []
