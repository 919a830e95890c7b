"""The documentation is true: commands exist, tables are the code's, examples run, links lead somewhere."""

from __future__ import annotations

import ast
import doctest
import itertools
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from helpers import markdown
from helpers.markdown import ROOT, Block
from papermill.cli import papermill
from pydantic import BaseModel
from runbooks.joan.legacy.__main__ import cli as joan

from towpath import errors
from towpath.checks import Check, Severity, Verdict
from towpath.cli.command import app, run_command
from towpath.plan.mapping import DecisionRow, SystemMapping, Tables
from towpath.plan.params import APPROVALS, Params
from towpath.plan.runbook import HEADINGS, FrontMatter, WayBack, load_runbook
from towpath.plan.surfaces import Jobs, Keys, Objects, Reference
from towpath.plan.traffic import Traffic
from towpath.plan.waivers import WaiverRow
from towpath.runs import journal
from towpath.runs.results import PhaseResult

PAGES = markdown.pages()
DOCS = ROOT / "docs"
TOWPATH: Any = typer.main.get_command(app)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -- commands


@dataclass(frozen=True)
class Command:
    """A command line in the documentation."""

    where: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.where} {' '.join(self.words[:4])}"


def commands() -> Iterator[Command]:
    """Every line after a `$` in a console block; a runbook's indented lines that call towpath."""
    for page in PAGES:
        for block in markdown.blocks(page, "console"):
            for line in block.text.splitlines():
                if line.strip().startswith("$ "):
                    yield from _split(f"{name_of(page)}:{block.line}", line.strip()[2:])
        for number, line, language in markdown.lines(page):
            if language is None and re.match(r"^ {4}(towpath|make) ", line):
                yield from _split(f"{name_of(page)}:{number}", line.strip())
    for path, command in tree(TOWPATH):
        for line in (command.help or "").splitlines():
            if re.match(r"^ {4}towpath ", line):
                words = line.split("  start ")[0].split("  read ")[0].split("  do ")[0].split("  see ")[0]
                yield from _split(f"help of {path}", words.strip())


def _split(where: str, line: str) -> Iterator[Command]:
    words = shlex.split(line, comments=True)
    while "|" in words:
        yield Command(where, tuple(words[: words.index("|")]))
        words = words[words.index("|") + 1 :]
    yield Command(where, tuple(words))


def tree(command: Any, path: str = "towpath") -> Iterator[tuple[str, Any]]:
    """Every command below this one, with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree(below, f"{path} {name}")


def parsed(command: Any, words: list[str]) -> None:
    """Parse as the command itself would, without running it; raises what the command line would say."""
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), f"{words} names no command"
    command.make_context(command.name, list(words))


SPARK = "runbooks.personality-spark.legacy"  # the hyphen keeps it out of an import statement
LEGACY = {"runbooks.joan.legacy": joan, SPARK: import_module(f"{SPARK}.__main__").cli}


def targets() -> dict[str, str]:
    """The targets of the Makefile with what `make help` says of them."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", shown, re.MULTILINE))


def _make(words: list[str]) -> None:
    for word in words:
        variable, equals, value = word.partition("=")
        assert variable in (("SYSTEM", "SCALE", "PYTHON") if equals else targets()), word
        assert variable != "SCALE" or value in ("small", "demo", "large")


def _papermill(words: list[str]) -> None:
    parsed(papermill, words)
    assert (ROOT / words[0]).is_file()
    assert (ROOT / words[words.index("-f") + 1]).is_file()
    assert "-p" not in words or words[words.index("-p") + 1] in Params.model_fields


def _python(words: list[str]) -> None:
    if words[0] == "-m" and words[1] in LEGACY:
        parsed(typer.main.get_command(LEGACY[words[1]]), words[2:])
    else:
        assert (ROOT / words[0]).is_file(), words


def _pytest(words: list[str]) -> None:
    named = [
        word for number, word in enumerate(words) if word[0] != "-" and words[number - 1] not in ("-n", "-k", "--dist")
    ]
    for word in named:
        path, _, test = word.partition("::")
        assert (ROOT / path).exists(), word
        assert not test or test.split("[")[0] in names_in(ROOT / path), word


def _files(words: list[str]) -> None:
    """A program of others: the files of ours that its options name are there."""
    for before, word in itertools.pairwise(words):
        assert before not in ("-f", "--requirement") or (ROOT / word).is_file(), word


def _nothing(words: list[str]) -> None:
    """A program of others, whose words we do not know."""


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "towpath": lambda words: parsed(TOWPATH, words),
    "papermill": _papermill,
    "python": _python,
    "pytest": _pytest,
    "conda": _files,
    "pip": _files,
    "npm": _files,
    "jq": _nothing,
    "sha256sum": _nothing,
}


@pytest.mark.parametrize("command", list(commands()), ids=str)
def test_a_command_in_the_documentation_exists(command: Command) -> None:
    program = command.words[0].removeprefix(".venv/bin/")
    assert program in PROGRAMS, f"{command}: no test knows this program"
    PROGRAMS[program](list(command.words[1:]))


def test_commands_are_found_and_a_wrong_one_is_refused() -> None:
    found = list(commands())
    assert len([command for command in found if command.words[0] == "towpath"]) > 20
    assert any(command.where.startswith("runbooks/joan/runbook.md") for command in found)
    assert any(command.where == "help of towpath run" for command in found)
    for wrong in ("towpath run joan", "towpath run joan --env local --fast", "towpath walk joan", "towpath local"):
        with pytest.raises((typer.TyperException, AssertionError)):
            parsed(TOWPATH, wrong.split()[1:])
    for wrong in ("dmeo", "demo SIZE=small", "demo SCALE=tiny"):
        with pytest.raises(AssertionError):
            _make(wrong.split())
    with pytest.raises(AssertionError):
        _pytest(["tests/unit/test_docs.py::test_that_is_not_there"])


@pytest.mark.parametrize(("path", "command"), list(tree(TOWPATH)), ids=lambda value: str(value)[:30])
def test_every_command_and_option_is_documented_and_no_other(path: str, command: Any) -> None:
    assert command.help, path
    if hasattr(command, "commands"):
        return
    page = DOCS / "commands.md"
    said = markdown.section(page, path)
    assert len(said.split()) > 8
    documented = {option for row in markdown.rows(said, "option") for option in markdown.code(row[0])}
    options = {name for param in command.params if param.opts[0].startswith("-") for name in param.opts}
    assert documented == options - {"--help"}
    assert all(row[1] for row in markdown.rows(said, "option"))
    examples = [block.text for block in markdown.blocks(page, "console")]
    assert any(f"$ {path} " in text or f"$ {path}\n" in text for text in examples), f"no example of {path}"


def test_every_make_target_is_documented_and_no_other() -> None:
    said = markdown.section(DOCS / "commands.md", "make")
    documented = {row[0].strip("`").removeprefix("make ") for row in markdown.rows(said, "target")}
    assert documented == set(targets())


# -- tables that the code knows better


def keys(page: Path, *header: str) -> list[str]:
    """What stands in backquotes in the first column of the tables that begin with this header."""
    return [name for row in markdown.rows(markdown.text(page), *header) for name in markdown.code(row[0])]


def test_params_are_documented_in_their_order() -> None:
    page = DOCS / "params.md"
    assert keys(page, "key", "allowed", "what it means") == list(Params.model_fields)
    assert all(len(row) == 3 and all(row) for row in markdown.rows(markdown.text(page), "key"))
    last = list(Params.model_fields)[-len(APPROVALS) :]
    assert tuple(last) == APPROVALS
    assert "the last three" in " ".join(markdown.prose(page).split()).lower()


@pytest.mark.parametrize(
    ("heading", "header", "model"),
    [
        ("mapping.yaml", "key of `tables`", Tables),
        ("mapping.yaml", "key of `objects`", Objects),
        ("mapping.yaml", "key of `keys`", Keys),
        ("mapping.yaml", "key of `jobs`", Jobs),
        ("mapping.yaml", "key of `traffic`", Traffic),
        ("mapping.yaml", "key of a decision", DecisionRow),
        ("waivers.yaml", "key of a waiver", WaiverRow),
    ],
)
def test_the_keys_of_a_runbooks_files_are_documented(heading: str, header: str, model: type[BaseModel]) -> None:
    said = markdown.section(DOCS / "runbooks.md", heading)
    listed = [name for row in markdown.rows(said, header) for name in markdown.code(row[0])]
    assert listed == list(model.model_fields)


def test_the_front_matter_and_the_mapping_are_documented() -> None:
    page = DOCS / "runbooks.md"
    plain = markdown.rows(markdown.section(page, "runbook.md"), "key", "allowed")
    assert [row[0].strip("`") for row in plain] == [*FrontMatter.model_fields, *WayBack.model_fields]
    above = markdown.rows(markdown.section(page, "mapping.yaml"), "key", "allowed")
    assert [row[0].strip("`") for row in above] == list(SystemMapping.model_fields)
    inner = {row[0].strip("`"): markdown.code(row[1]) for row in above}
    assert inner["tables"] == list(Tables.model_fields)
    assert inner["objects"] == list(Objects.model_fields)
    assert inner["keys"] == list(Keys.model_fields)
    assert inner["jobs"] == list(Jobs.model_fields)
    assert inner["traffic"] == list(Traffic.model_fields)
    assert inner["decisions"] == list(DecisionRow.model_fields)
    below = markdown.rows(markdown.section(page, "mapping.yaml"), "key of `objects`")
    assert markdown.code(next(row[1] for row in below if row[0] == "`references`")) == list(Reference.model_fields)
    assert ", ".join(HEADINGS) in " ".join(markdown.prose(page).split())


def test_the_fields_of_a_record_are_documented() -> None:
    page = DOCS / "records.md"
    example = PhaseResult("joan", "local", "r", "03-export", 1, "p", "now").plain()
    assert sorted(keys(page, "field")) == sorted(example)
    said = markdown.section(page, "The journal")
    assert markdown.code(said)[: len(journal.KEYS)] == list(journal.KEYS)
    check = Check("TB412", "tables", "tasks", "3", "3", Verdict.PASS).row()
    named = markdown.section(page, "A result").split("\nA check has ")[1]
    assert markdown.code(named)[: len(check)] == list(check)
    assert [row[0] for row in markdown.rows(markdown.text(page), "word")] == [
        *("PASS", "FAIL", "WARN", "WAIVED", "DRY RUN", "INCOMPLETE")
    ]
    assert {row[0] for row in markdown.rows(markdown.text(page), "word")} == {str(verdict) for verdict in Verdict}


def test_a_run_page_has_the_headings_that_a_reader_is_sent_to() -> None:
    sent = re.findall(r"\*\*(.+?)\*\*", markdown.section(DOCS / "records.md", "Reading one in three minutes"))
    template = ROOT / "lib" / "towpath" / "runs" / "templates" / "run.html.j2"
    there = re.findall(r"<h[23][^>]*>(.+?)</h[23]>", template.read_text(encoding="utf-8"))
    assert len(sent) > 3
    assert sent == [heading for heading in there if heading in sent]


def test_the_severities_are_documented() -> None:
    listed = [row[0] for row in markdown.rows(markdown.text(DOCS / "checks.md"), "severity")]
    assert listed == [str(severity) for severity in Severity]


def test_exit_codes_are_documented() -> None:
    meant = {"0": "PASS", "1": "CHECKS_FAILED", "2": "COULD_NOT_FINISH", "3": "WRONG_USE"}
    assert {code: getattr(errors, name) for code, name in meant.items()} == {code: int(code) for code in meant}
    listed = [row[0] for row in markdown.rows(markdown.section(DOCS / "records.md", "Exit codes"), "code")]
    assert listed == [*meant, "130, 143"]
    in_readme = " ".join(markdown.section(ROOT / "README.md", "Exit codes").split())
    assert re.findall(r"(?:^|[:·] )([\d, ]*\d) ", in_readme) == [*meant, "130, 143"]


def test_the_readme_shows_what_make_demo_prints() -> None:
    shown = next(block.text for block in markdown.blocks(ROOT / "README.md", "text") if "== voyage" in block.text)
    book = load_runbook(ROOT / "runbooks" / "joan" / "runbook.md", "runbook.md", "joan")
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\ndemo:")[1].split("\n\n")[0]
    said = [line.replace("$(SYSTEM)", "joan").replace("$(SCALE)", "small") for line in re.findall(r"'(.+)'", recipe)]
    assert len(said) == 4
    assert [line for line in said if line not in shown.splitlines()] == []
    phases = re.findall(r"^(\d\d-\w+) +PASS +[\d.]+ s +\d+ MB  \d+ PASS", shown, re.MULTILINE)
    assert phases == list(book.phases)
    assert re.search(rf"^{re.escape(book.title)}: local, run \d{{8}}T\d{{6}}Z-[0-9a-f]{{4}}$", shown, re.MULTILINE)


def test_the_phases_are_those_of_the_notebooks() -> None:
    listed = [row[0].strip("`") for row in markdown.rows(markdown.text(ROOT / "README.md"), "phase")]
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_the_changelog_has_the_present_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    versions = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == version
    assert all(date for _, date in versions[1:])


# -- pages, links, paths


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in markdown.links(page):
        target, _, anchor = link.partition("#")
        if re.match(r"^(https?|mailto):", target):
            continue
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), link
        assert there.is_relative_to(ROOT), link
        assert not anchor or anchor in markdown.anchors(there), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    waiting, seen = [ROOT / "README.md"], set()
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        near = [(page.parent / link.partition("#")[0]).resolve() for link in markdown.links(page) if "://" not in link]
        waiting += [path for path in near if path.suffix == ".md" and path.is_file()]
    assert sorted(name_of(page) for page in set(PAGES) - seen) == []


def names_in(path: Path) -> set[str]:
    """The names of the tests in a module."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


PATH = re.compile(r"^(lib|tests|docs|notebooks|runbooks|params|tools|\.ci)/[\w./-]*[\w/]$")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_and_tests_that_a_page_names_exist(page: Path) -> None:
    for word in markdown.code(markdown.prose(page)):
        path, _, test = word.partition("::")
        if test:
            base = ROOT if path.startswith("tests/") else ROOT / "tests"
            assert (base / path).is_file(), word
            assert test in names_in(base / path), word
        elif PATH.match(word):
            assert (ROOT / word).exists() or (page.parent / word).exists(), word


def test_the_modules_that_the_traps_name_exist() -> None:
    rows = markdown.rows(markdown.text(DOCS / "traps.md"), "trap")
    assert len(rows) > 30
    for trap, does, modules, tests in rows:
        for module in markdown.code(modules):
            assert (ROOT / "lib" / "towpath" / module).is_file(), module
        assert modules or does.startswith("not ours"), trap
        assert all("::" in test for test in markdown.code(tests)), trap


def test_decisions_are_listed_under_their_titles() -> None:
    index = DOCS / "decisions" / "README.md"
    listed = [row[:2] for row in markdown.rows(markdown.text(index), "number")]
    there = []
    for page in sorted(index.parent.glob("[0-9]*.md")):
        number, _, title = markdown.headings(page)[0].partition(" ")
        there.append([f"[{number}]({page.name})", title])
        assert page.name.startswith(f"{number}-")
        assert markdown.headings(page)[1:] == ["Context", "Decision", "What it costs", "When to decide again"]
    assert listed == there
    assert [row[0][1:5] for row in listed] == [f"{number:04d}" for number in range(1, len(listed) + 1)]


def test_the_layers_of_tests_are_those_that_exist() -> None:
    listed = {row[0].strip("`/") for row in markdown.rows(markdown.text(ROOT / "tests" / "README.md"), "layer")}
    there = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert listed == there | {"benchmarks"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|root|home|Users|tmp)/", markdown.text(page))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tables_are_whole(page: Path) -> None:
    """A row with a column more or less is shown wrongly, and nobody notices."""
    width = 0
    for number, line, language in markdown.lines(page):
        if language is not None or not line.startswith("|"):
            width = 0
            continue
        cells = len(re.split(r"(?<!\\)\|", line.strip())) - 2
        assert width in (0, cells), f"{name_of(page)}:{number} has {cells} columns, its table {width}"
        width = cells


# -- examples


def examples(kind: Callable[[Block], bool]) -> list[Block]:
    return [block for page in PAGES for block in markdown.blocks(page, "python") if kind(block)]


@pytest.mark.parametrize("block", examples(lambda block: ">>>" in block.text), ids=lambda block: block.name)
def test_an_example_says_what_python_says(block: Block) -> None:
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    runner.run(parser.get_doctest(block.text, {}, block.name, str(block.page), block.line))
    assert runner.summarize(verbose=False).failed == 0
    assert runner.summarize(verbose=False).attempted > 0


def test_programs_stand_on_one_page_alone() -> None:
    assert {block.page for block in examples(lambda block: ">>>" not in block.text)} == {DOCS / "records.md"}


def test_a_record_is_verified_by_hand_as_the_page_says(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = (
        "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
    )
    for phase in ("01-inventory", "02-schema", "03-export"):
        checked = "run.check('TB412', 'tables', 'tasks', 3, 3, True)"
        toy.notebook(
            phase, opened.format(phase=phase), checked, "run.write_json('snapshot/manifest.json', 3)", "run.close()"
        )
    assert run_command(["run", "toy", "--env", "local"]) == 0
    (folder,) = (toy.root / "outputs" / "toy" / "local").glob("*Z-*")
    monkeypatch.chdir(folder)
    programs = [block.text for block in markdown.blocks(DOCS / "records.md", "python")]
    assert len(programs) == 4
    capsys.readouterr()
    assert [_ends(program, {}) for program in _together(programs)] == [""] * 4
    assert capsys.readouterr().out == ""

    # each program finds what it is there for
    (folder / "02-schema.ipynb").write_text("{}", encoding="utf-8")
    _ends(programs[0], {})
    assert "changed: 02-schema.ipynb named by 02-schema.result.json" in capsys.readouterr().out
    for name, old, new in (
        ("plan.json", '"system":"toy"', '"system":"boy"'),
        ("03-export.result.json", '"verdict": "PASS"', '"verdict": "FAIL"'),
        ("journal.jsonl", '"success":true', '"success":false'),
    ):
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    assert [_ends(program, {}) for program in _together(programs)] == ["", *["AssertionError"] * 3]


def _together(programs: list[str]) -> list[str]:
    """The later programs begin with the results that the first one reads."""
    reading = programs[0].split("for name")[0]
    head = reading + "head = json.loads(pathlib.Path('run.json').read_text())\n"
    return [programs[0], *(head + program for program in programs[1:])]


def _ends(program: str, names: dict[str, Any]) -> str:
    """How a program ends: "", or the name of its exception."""
    try:
        exec(compile(program, "docs/records.md", "exec"), names)
    except Exception as error:
        return type(error).__name__
    return ""
