"""What of an application's source no Worker can run: a look at its syntax, nothing of it is imported or executed.

It finds what is written down, not what happens: a call through a variable, a library that starts a thread of its own,
or a loop that is long only for some rows are not seen.  What it names is a place to look at, with file and line.
"""

from __future__ import annotations

import ast
import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from towpath.checks import Finding
from towpath.errors import BadInput
from towpath.findings import Findings
from towpath.routes.rules import RULES
from towpath.routes.unfit import AT_HOME, CALLS, IMPORTS, METHODS, MUTATORS, SCHEDULES

SAMPLES = 50
SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
_HERE = re.compile(r"(^|[/@])(localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(:|/|$)")
_MUTABLE = {"dict", "list", "set", "defaultdict", "deque", "OrderedDict", "Counter"}
_WRITING = re.compile(r"[wax+]")


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked at, and what was found."""

    files: int
    lines: int
    findings: tuple[Finding, ...]


def fitness(folder: Path, apart: Sequence[str] = ()) -> Looked:
    """Look at every Python file of a folder, without those that a pattern of `apart` names.  Raises BadInput."""
    if not folder.is_dir():
        raise BadInput("is no folder", object=str(folder), next="correct traffic.application.source in mapping.yaml")
    found, lines, files = Findings(RULES, SAMPLES), 0, 0
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part in SKIPPED or part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or any(fnmatch.fnmatchcase(name, pattern) for pattern in apart):
            continue
        files += 1
        raw = path.read_bytes()
        lines += len(raw.splitlines())
        try:
            tree = ast.parse(raw)
        except (SyntaxError, ValueError) as error:
            found.add("RT212", name, f"{name}:{getattr(error, 'lineno', None) or 1}")
            continue
        for code, line, what in sorted(set(_found(tree)), key=lambda one: (one[1], one[0], one[2])):
            found.add(code, name, f"{name}:{line} {what}", what)
    return Looked(files, lines, found.sorted())


Place = tuple[str, int, str]


def _found(tree: ast.Module) -> Iterator[Place]:
    names = dict(_names(tree))
    described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node)
        elif isinstance(node, ast.Call):
            yield from _called(node, names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described:
            if _HERE.search(node.value):
                yield "RT202", node.lineno, repr(node.value)[:60]
        elif isinstance(node, ast.While):
            if isinstance(node.test, ast.Constant) and node.test.value and not _awaits(node):
                yield "RT211", node.lineno, "while True"
        elif isinstance(node, ast.For | ast.AsyncFor) and (whole := _whole(node.iter)):
            yield "RT211", node.lineno, f"for … in {whole}"
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from _scheduled(node)
    yield from _kept(tree, names)


def _names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Local name → what was imported under it, with its module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _full(node: ast.expr, names: dict[str, str]) -> str:
    """`sp.run` as `subprocess.run`; "" for what is no name that was imported or built in."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or (words and node.id not in names):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(words)])


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[Place]:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    for module in modules if not getattr(node, "level", 0) else ():
        code = next((code for name, code in IMPORTS.items() if f"{module}.".startswith(f"{name}.")), None)
        if code is not None:
            yield code, node.lineno, f"import {module}"


def _called(node: ast.Call, names: dict[str, str]) -> Iterator[Place]:
    full = _full(node.func, names)
    code = next((code for code, pattern in CALLS if fnmatch.fnmatchcase(full, pattern)), None) if full else None
    if code is not None:
        yield code, node.lineno, full
    elif full in AT_HOME and not node.args and not any(one.arg in ("host", None) for one in node.keywords):
        yield "RT202", node.lineno, f"{full} without a host"
    elif full in ("open", "io.open") and _WRITING.search(_mode(node, 1)):
        yield "RT203", node.lineno, f"open(…, {_mode(node, 1)!r})"
    elif isinstance(node.func, ast.Attribute) and not full:
        name = node.func.attr
        if name == "open" and _WRITING.search(_mode(node, 0)):
            yield "RT203", node.lineno, f".open({_mode(node, 0)!r})"
        elif name in METHODS:
            yield METHODS[name], node.lineno, f".{name}"


def _mode(node: ast.Call, place: int) -> str:
    given = next((one.value for one in node.keywords if one.arg == "mode"), None)
    mode = given or (node.args[place] if len(node.args) > place else None)
    return mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else "r"


def _awaits(node: ast.While) -> bool:
    """A loop that can be left or that waits for something in each round has a bound of its own."""
    return any(isinstance(inner, ast.Await | ast.Break | ast.Return | ast.Yield) for inner in ast.walk(node))


def _whole(node: ast.expr) -> str:
    """`.all()` and `.fetchall()`, which hold every row at once."""
    if isinstance(node, ast.Await):
        return _whole(node.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("all", "fetchall"):
        return f"….{node.func.attr}()"
    return ""


def _scheduled(node: ast.Assign | ast.AnnAssign) -> Iterator[Place]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
        if name.lower() in SCHEDULES:
            yield "RT210", node.lineno, name


def _kept(tree: ast.Module, names: dict[str, str]) -> Iterator[Place]:
    """Containers of the module that a function changes, names that one declares global, and caches of functions."""
    held = {}
    for line in tree.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None and _is_container(line.value, names):
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            held.update({target.id: line.lineno for target in targets if isinstance(target, ast.Name)})
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        own = {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}
        own |= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                yield from (("RT209", node.lineno, f"global {name}") for name in node.names)
            elif (name := _changed(node)) in held and name not in own and isinstance(node, ast.expr):
                yield "RT209", node.lineno, f"{name}, of line {held[name]}"
        for decorator in function.decorator_list:
            full = _full(decorator.func if isinstance(decorator, ast.Call) else decorator, names)
            if full in ("functools.lru_cache", "functools.cache"):
                yield "RT209", decorator.lineno, full


def _is_container(node: ast.expr, names: dict[str, str]) -> bool:
    if isinstance(node, ast.Call):
        return _full(node.func, names).rpartition(".")[2] in _MUTABLE
    return isinstance(node, ast.Dict | ast.List | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _changed(node: ast.AST) -> str:
    """The name that a piece of code changes in place."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return getattr(node.value, "id", "")
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return getattr(node.func.value, "id", "")
    return ""
