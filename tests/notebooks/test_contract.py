"""Every notebook keeps the contract, and every rule of the contract can be broken."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.contract import PHASES, ROOT, RULES, Notebook

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BASE = ROOT / "notebooks" / "04-import.ipynb"
Break = Callable[[Notebook], Any]


def cell(notebook: Notebook, id: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["id"] == id)


def write(id: str, text: str) -> Break:
    """Break a notebook by another source in one cell."""
    return lambda notebook: cell(notebook, id).update(source=text.splitlines(keepends=True))


def swap(id: str, old: str, new: str) -> Break:
    """Break a notebook by other words in one cell."""

    def change(notebook: Notebook) -> None:
        text = "".join(cell(notebook, id)["source"])
        assert old in text
        cell(notebook, id)["source"] = text.replace(old, new, 1).splitlines(keepends=True)

    return change


def put(key: str, value: Any, *path: str) -> Break:
    """Break a notebook's metadata."""

    def change(notebook: Notebook) -> None:
        where = notebook["metadata"]
        for name in path:
            where = where[name]
        where[key] = value

    return change


def move(id: str, by: int) -> Break:
    def change(notebook: Notebook) -> None:
        at = notebook["cells"].index(cell(notebook, id))
        notebook["cells"].insert(at + by, notebook["cells"].pop(at))

    return change


def repeat(id: str, times: int) -> Break:
    """More code cells behind one, under names of their own."""

    def change(notebook: Notebook) -> None:
        at = notebook["cells"].index(cell(notebook, id))
        for letter in "abcdef"[:times]:
            more = {**copy.deepcopy(cell(notebook, id)), "id": f"{id}-{letter}"}
            notebook["cells"].insert(at + 1, more)

    return change


def drop(id: str) -> Break:
    return lambda notebook: notebook["cells"].remove(cell(notebook, id))


BROKEN: tuple[tuple[str, str, Break], ...] = (
    ("order_of_cells", "no operator's note", drop("operators-note")),
    ("order_of_cells", "verdict before the checks", move("verdict", -2)),
    ("order_of_cells", "work before the run is open", move("send-rows", -6)),
    ("order_of_cells", "parameters as prose", lambda n: cell(n, "parameters").update(cell_type="markdown")),
    ("purpose", "no way back", swap("purpose", "| **Undo** |", "| **Revert** |")),
    ("purpose", "an empty label", swap("purpose", "| **Needs** | 03-export passed", "| **Needs** |  |\n| x |")),
    ("purpose", "the title of another phase", swap("purpose", "# 04 · Import", "# 05 · Validate")),
    ("metadata", "no metadata", lambda n: n["metadata"].pop("towpath")),
    ("metadata", "a key too many", put("author", "me", "towpath")),
    ("metadata", "seconds in words", put("seconds", "two minutes", "towpath")),
    ("metadata", "a phase that needs itself", put("needs", ["04-import"], "towpath")),
    ("metadata", "a later phase needed", put("needs", ["05-validate"], "towpath")),
    ("metadata", "nothing given", put("gives", [], "towpath")),
    ("metadata", "no way back", put("undo", "", "towpath")),
    ("metadata", "an unknown phase", put("phase", "04-load", "towpath")),
    ("ids", "one id twice", lambda n: cell(n, "finish").update(id="send-rows")),
    ("ids", "a random id", lambda n: cell(n, "finish").update(id="3f9a0c1e")),
    ("ids", "no id", lambda n: cell(n, "finish").pop("id")),
    ("kernel", "somebody's own kernel", put("name", "my-venv", "kernelspec")),
    ("kernel", "an older format, without ids", lambda n: n.update(nbformat_minor=4)),
    (
        "no_traces_of_a_run",
        "an output",
        lambda n: cell(n, "finish").update(outputs=[{"output_type": "stream", "name": "stdout", "text": ["1"]}]),
    ),
    ("no_traces_of_a_run", "an execution count", lambda n: cell(n, "finish").update(execution_count=7)),
    ("no_traces_of_a_run", "papermill's metadata", put("papermill", {"duration": 1})),
    ("no_traces_of_a_run", "a cell's metadata", lambda n: cell(n, "finish")["metadata"].update(collapsed=True)),
    ("few_tags", "an unknown tag", lambda n: cell(n, "finish")["metadata"].update(tags=["skip-execution"])),
    ("few_tags", "no word on the golden copy", lambda n: cell(n, "finish")["metadata"].pop("tags")),
    ("few_tags", "parameters not tagged", lambda n: cell(n, "parameters")["metadata"].pop("tags")),
    ("short_cells", "eleven lines", write("finish", "\n".join(f"a{i} = {i}" for i in range(11)))),
    ("short_cells", "an empty cell", write("finish", "\n")),
    ("no_definitions", "a function", write("finish", "def f():\n    return 1")),
    ("no_definitions", "a class", write("finish", "class Loader: ...")),
    ("no_definitions", "a lambda", write("finish", "run.each(lambda row: row)")),
    ("no_loops", "for", write("finish", "for row in rows:\n    bench.send(row)")),
    ("no_loops", "while", write("finish", "while bench.more():\n    bench.send()")),
    ("no_loops", "a comprehension", write("finish", "sent = [bench.send(row) for row in rows]")),
    ("plain_python", "a shell command", write("finish", "!sqlite3 joan.sqlite .dump")),
    ("plain_python", "a magic", write("finish", "%timeit load.rows(bench)")),
    ("plain_python", "a cell magic", write("finish", "%%bash\nls")),
    ("plain_python", "a question to IPython", write("finish", "load.rows?")),
    ("plain_python", "a command assigned", write("finish", "files = !ls")),
    ("no_way_out", "sys.exit", write("finish", "sys.exit(0)")),
    ("no_way_out", "exit", write("finish", "exit()")),
    ("no_way_out", "quit", write("finish", "quit()")),
    ("no_way_out", "input", write("finish", 'approved = input("go?")')),
    ("no_way_out", "a magic by function", write("finish", 'get_ipython().system("ls")')),
    ("no_way_out", "an error swallowed", write("finish", "try:\n    load.rows(bench)\nexcept Exception:\n    pass")),
    ("imports", "another library", swap("open-run", "from towpath import show", "import pandas")),
    ("imports", "one that looks like ours", swap("open-run", "from towpath import show", "import towpath_extra")),
    ("imports", "in the middle", write("finish", "from towpath import show")),
    ("parameters", "a key missing", swap("parameters", "run_id:", "run:")),
    ("parameters", "a key too many", swap("parameters", "run_id:", 'mode: str = "x"  # how it is done\nrun_id:')),
    ("parameters", "in another order", write("parameters", 'run_id: str = ""  # empty: the current run')),
    ("parameters", "no type", swap("parameters", "system: str =", "system =")),
    ("parameters", "another type", swap("parameters", "source_closed_cleanly: bool", "source_closed_cleanly: str")),
    ("parameters", "no comment", swap("parameters", "  # whose runbook", "")),
    ("parameters", "another value", swap("parameters", '"joan-local"', '"joan-production"')),
    ("parameters", "none", drop("parameters")),
    ("steps_say_what_to_expect", "no verb", swap("send-the-rows", "## Send the rows", "## Rows")),
    ("steps_say_what_to_expect", "no expectation", swap("send-the-rows", "Expected:", "Usually:")),
    ("steps_say_what_to_expect", "no words", write("send-the-rows", "## Send the rows")),
    ("steps_say_what_to_expect", "code before any heading", drop("look-at-the-work")),
    ("few_cells_a_step", "four code cells", repeat("send-rows", 3)),
    ("opens_and_closes", "another phase", swap("open-run", '"04-import"', '"05-validate"')),
    ("opens_and_closes", "no target looked at", swap("open-run", "bench.open()", "bench")),
    ("opens_and_closes", "work after the verdict", swap("close-run", "bench.close", "bench.again()\nbench.close")),
    ("opens_and_closes", "closed on the way", write("finish", 'bench.close("Done.")')),
    ("opens_and_closes", "checks not shown", write("check-table", "run.checks[:5]")),
)


def read(path: Path) -> Notebook:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_there_is_a_notebook_for_each_phase() -> None:
    assert tuple(path.stem for path in NOTEBOOKS) == PHASES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES)
def test_the_notebook_keeps_the_rule(path: Path, rule: str) -> None:
    notebook = read(path)
    assert RULES[rule](notebook) == []
    assert notebook["metadata"]["towpath"]["phase"] == path.stem


@pytest.mark.parametrize(("rule", "why", "breaking"), BROKEN, ids=[f"{r}: {w}" for r, w, _ in BROKEN])
def test_the_rule_can_be_broken(rule: str, why: str, breaking: Break) -> None:
    notebook = read(BASE)
    assert RULES[rule](notebook) == []
    breaking(notebook)
    assert RULES[rule](notebook) != [], why


def test_every_rule_is_seen_to_fail() -> None:
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_the_purpose_speaks_of_what_the_metadata_says() -> None:
    """A phase that changes nothing says so in both places, and nothing else does."""
    for path in NOTEBOOKS:
        notebook = read(path)
        words = "".join(cell(notebook, "purpose")["source"])
        says_nothing = "| **Changes** | nothing" in words
        assert (notebook["metadata"]["towpath"]["changes"] == "nothing") == says_nothing, path.stem
