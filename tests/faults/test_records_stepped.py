"""A phase stepped by hand in JupyterLab: what is sealed, and every way to step it wrongly, with a real server."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.lab import Front, Lab, jupyter

from towpath.checks import Verdict
from towpath.cli.command import run_command
from towpath.runs import journal
from towpath.runs.folder import RunFolder
from towpath.runs.seal import read_seal
from towpath.runs.verification import verify_run

PHASES = ("01-inventory", "02-schema")
OPEN = "from towpath.runs.run import open_run\nrun = open_run({phase!r}, vars())\nrun.identify(source='s', target='t')"
SHOWN = """from towpath import show
with show.progress('rows', 3, 'rows') as report:
    report(3)
banner = show.Banner('Toy').show()
print('three', flush=True)
run.log('looked')"""
CHECK = "run.check('TB401', 'tables', 'tasks', 3, 3, True)"
LOST = "run.check('TB401', 'tables', 'tasks', 3, 2, False, 'look')"
CLOSE = "shown = banner.finish(run.close(), 'three rows')"
LONG = "print('row\\n' * 20_000)"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    base = tmp_path_factory.getbasetemp()
    with jupyter(base, base / "jupyter") as running:
        yield running


@pytest.fixture
def stepped(toy: Any) -> Any:
    """The toy with notebooks that pass."""
    for phase in PHASES:
        toy.notebook(phase, OPEN.format(phase=phase), SHOWN, CHECK, CLOSE)
    return toy


def folder_of(toy: Any) -> RunFolder:
    folder = RunFolder.current(toy.root, "toy", "local")
    assert folder is not None
    return folder


def prepare(toy: Any, phase: str = PHASES[0]) -> Path:
    assert run_command(["prepare", "toy", "--env", "local", "--phase", phase]) == 0
    newest = folder_of(toy).newest(phase)
    assert newest is not None
    return folder_of(toy).path / f"{newest.stem}.ipynb"


def seal(phase: str = PHASES[0]) -> int:
    return run_command(["seal", "toy", "--env", "local", "--phase", phase])


def run(*options: str) -> int:
    return run_command(["run", "toy", "--env", "local", *options])


def wrong(folder: RunFolder) -> list[str]:
    return [f"{one.object}: {one.found}" for one in verify_run(folder) if one.verdict is Verdict.FAIL]


def shape(value: Any) -> Any:
    """A value of JSON without its leaves' content: which keys, which types."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def words(page: str) -> list[str]:
    """The elements of a page without times, sizes, durations and hashes."""
    text = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    for pattern in (r"\b[0-9a-f]{8,64}\b", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.Z]*", r"\d{8}T\d{6}Z-\w{4}"):
        text = re.sub(pattern, "…", text)
    text = re.sub(r" · \d+\.\d s(?=</summary>)", "", text)
    text = re.sub(r"[\d.,]+ (s|ms|MB|kB|bytes|rows/s)\b|\d+", "…", text.replace("another", "toy"))
    return re.sub(r"\s*<", "\n<", text).splitlines()


def test_a_stepped_phase_leaves_the_record_that_a_batch_leaves(stepped: Any, lab: Lab) -> None:
    stepped.notebook(PHASES[0], OPEN.format(phase=PHASES[0]), SHOWN, LONG, CHECK, CLOSE)
    assert run("--phase", PHASES[0]) == 0
    batch = folder_of(stepped)
    stepped.write_params(d1_database_name="another")  # another plan: another run
    path = prepare(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.save()
        assert run("--phase", PHASES[1]) == 3  # before it is sealed, no gate opens
    assert seal() == 0
    by_hand = folder_of(stepped)
    assert by_hand.path != batch.path
    assert wrong(by_hand) == []

    def files(folder: RunFolder) -> set[str]:
        return {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}

    assert files(by_hand) == files(batch)
    for name in ("01-inventory.result.json", "01-inventory.checks.json", "plan.json"):
        one, other = (json.loads((folder.path / name).read_bytes()) for folder in (by_hand, batch))
        assert shape(one) == shape(other), name
    seals = [read_seal(folder.path, PHASES[0]) for folder in (by_hand, batch)]
    assert shape(seals[0].predicate) == shape(seals[1].predicate)
    assert seals[0].subjects.keys() == seals[1].subjects.keys()
    lines = [list(journal.read(folder.path / "journal.jsonl")) for folder in (by_hand, batch)]
    for one, other in zip(*lines, strict=True):
        assert {
            key: one[key] for key in ("phase", "attempt", "count", "cell", "source_sha256", "success", "error")
        } == {key: other[key] for key in ("phase", "attempt", "count", "cell", "source_sha256", "success", "error")}
    books = [json.loads((folder.path / f"{PHASES[0]}.ipynb").read_bytes()) for folder in (by_hand, batch)]
    for book in books:
        for cell in book["cells"]:
            cell["metadata"].pop("execution", None)  # times, which JupyterLab notes only where it is told to
            for part in ("start_time", "end_time", "duration"):  # before the run is opened, nothing notes them by hand
                cell["metadata"]["papermill"].pop(part)
    assert [shape(cell) for cell in books[0]["cells"]] == [shape(cell) for cell in books[1]["cells"]]
    assert books[0]["metadata"].keys() == books[1]["metadata"].keys()
    assert shape(books[0]["metadata"]["papermill"]) == shape(books[1]["metadata"]["papermill"])
    pages = [words((folder.path / f"{PHASES[0]}.html").read_text("utf-8")) for folder in (by_hand, batch)]
    assert [line for line in difflib.ndiff(*pages) if line[0] != " "] == []
    assert run("--phase", PHASES[1]) == 0
    assert wrong(by_hand) == []


def _edit(name: str) -> Callable[[dict[str, Any]], None]:
    def change(book: dict[str, Any]) -> None:
        next(cell for cell in book["cells"] if cell["id"] == name)["source"] = ["run.check('TB401')"]

    return change


def _output(book: dict[str, Any]) -> None:
    (output,) = [o for cell in book["cells"] for o in cell.get("outputs", []) if o.get("text") == ["three\n"]]
    output["text"] = ["four\n"]


def _picture(book: dict[str, Any]) -> None:
    outputs = next(cell for cell in book["cells"] if cell["id"] == "cell-1")["outputs"]
    next(one for one in outputs if "data" in one)["data"]["text/plain"] = ["rows 4"]


ALTERED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "edited": (_edit("cell-2"), "FAIL cell-2: was edited"),
    "edited, not journalled": (_edit("parameters"), "FAIL parameters: was edited"),
    "deleted": (lambda book: book["cells"].pop(3), "FAIL cell-1: was deleted"),
    "added": (
        lambda book: book["cells"].append({"cell_type": "markdown", "id": "new", "metadata": {}, "source": ["more"]}),
        "FAIL new: was added",
    ),
    "moved": (lambda book: book["cells"].insert(3, book["cells"].pop(4)), "was moved"),
    "output": (_output, "FAIL cell-1: does not show what the kernel sent"),
    "display": (_picture, "FAIL cell-1: does not show what the kernel sent"),
    "emptied": (lambda book: book["cells"][3].update(outputs=[]), "FAIL cell-1: does not show what the kernel sent"),
    "count": (
        lambda book: book["cells"][4].update(execution_count=9),
        "FAIL cell-2: was executed as number 9, expected 5",
    ),
    "uncounted": (lambda book: book["cells"][4].update(execution_count=None), "FAIL cell-2: was not executed"),
}


def test_a_notebook_that_was_altered_afterwards_is_not_sealed(
    stepped: Any, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepare(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.save()
    saved = path.read_text("utf-8")
    for name, (alter, said) in ALTERED.items():
        book = json.loads(saved)
        alter(book)
        path.write_text(json.dumps(book), encoding="utf-8")
        capsys.readouterr()
        assert seal() == 1, name
        assert said in capsys.readouterr().out, name
        assert not list(path.parent.glob("*.dsse.json"))
    path.write_text(saved, encoding="utf-8")
    assert seal() == 0
    assert seal() == 3  # once


def test_the_note_may_be_written_and_an_empty_cell_at_the_end_is_dropped(stepped: Any, lab: Lab) -> None:
    notebook = stepped.root / "notebooks" / f"{PHASES[0]}.ipynb"
    book = json.loads(notebook.read_text("utf-8"))
    book["cells"].insert(2, {"cell_type": "markdown", "id": "operators-note", "metadata": {}, "source": ["## Note"]})
    notebook.write_text(json.dumps(book), encoding="utf-8")
    path = prepare(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.cell("operators-note")["source"] = "## Note\n\nAna, on a Saturday."
        empty = {
            "cell_type": "code",
            "id": "empty",
            "metadata": {},
            "source": "",
            "outputs": [],
            "execution_count": None,
        }
        front.notebook["cells"].append(empty)  # Shift+Enter in the last cell
        front.save()
    assert seal() == 0
    assert "Ana, on a Saturday." in path.read_text("utf-8")
    assert '"empty"' not in path.read_text("utf-8")


def _all_but_one(front: Front) -> None:
    for cell in front.code:
        if cell["id"] != "cell-2":
            front.execute(cell)


def _one_twice(front: Front) -> None:
    for cell in front.code:
        front.execute(cell)
        if cell["id"] == "cell-1":
            front.execute(cell)


def _twice_and_relabelled(front: Front) -> None:
    _one_twice(front)
    for number, cell in enumerate(front.code, start=1):
        cell["execution_count"] = number


def _in_another_order(front: Front) -> None:
    first, second, opening, shows, checks, closes = front.code
    for cell in (first, second, opening, checks, shows, closes):
        front.execute(cell)


def _not_to_the_end(front: Front) -> None:
    for cell in front.code[:-1]:
        front.execute(cell)


def _with_a_cell_that_is_gone(front: Front) -> None:
    extra = {**front.code[-2], "id": "extra", "source": "run.check('TB402', 'tables', 'x', 1, 1, True)"}
    for cell in (*front.code[:-1], extra, front.code[-1]):
        front.execute(cell)


def _nothing(_front: Front) -> None:
    pass


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_all_but_one, "FAIL cell-2: was not executed"),
        (_one_twice, "FAIL cell-1: was executed more than once, as number 4 and 5"),
        (_twice_and_relabelled, "FAIL cell-1: was executed more than once"),
        (_in_another_order, "FAIL cell-1: was executed as number 5, expected 4: out of order"),
        (_not_to_the_end, "FAIL cell-3: the phase was not closed"),
        (_with_a_cell_that_is_gone, "FAIL extra: is in the journal and not in the notebook"),
        (_nothing, "nothing of it was executed"),
    ],
)
def test_a_notebook_that_was_stepped_wrongly_is_not_sealed_and_opens_no_gate(
    stepped: Any, lab: Lab, capsys: pytest.CaptureFixture[str], step: Callable[[Front], None], said: str
) -> None:
    with lab.opened(prepare(stepped)) as front:
        step(front)
        front.save()
    capsys.readouterr()
    assert seal() == 1
    printed = capsys.readouterr().out
    assert said in printed
    assert "Next: towpath prepare toy --env local --phase 01-inventory" in printed
    assert run("--phase", PHASES[1]) == 3
    with lab.opened(prepare(stepped)) as front:  # the next attempt
        front.step_all()
        front.save()
    assert seal() == 0
    assert {stem: result["verdict"] for stem, result in stepped.results().items()} == {
        "01-inventory": "INCOMPLETE",
        "01-inventory.2": "PASS",
    }
    assert stepped.results()["01-inventory"]["error"].startswith("prepared to be stepped by hand, and never sealed")
    assert wrong(folder_of(stepped)) == []


def test_a_pass_over_a_cell_that_raised_is_not_sealed(
    stepped: Any, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    stepped.notebook(PHASES[0], OPEN.format(phase=PHASES[0]), SHOWN, CHECK, "raise RuntimeError('no')", CLOSE)
    with lab.opened(prepare(stepped)) as front:
        for cell in front.code:
            front.execute(cell)
        front.save()
    assert stepped.results()[PHASES[0]]["verdict"] == "PASS"
    capsys.readouterr()
    assert seal() == 1
    assert "FAIL cell-3: raised RuntimeError: no" in capsys.readouterr().out
    assert run("--phase", PHASES[1]) == 3


def test_a_phase_whose_checks_fail_is_sealed_as_failed(stepped: Any, lab: Lab) -> None:
    stepped.notebook(PHASES[0], OPEN.format(phase=PHASES[0]), SHOWN, LOST, CLOSE)
    path = prepare(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.save()
    assert seal() == 1
    assert read_seal(path.parent, PHASES[0]).predicate["verdict"] == "FAIL"
    assert wrong(folder_of(stepped)) == []
    assert "FAIL · " in path.with_suffix(".html").read_text("utf-8")
    assert run("--phase", PHASES[1]) == 3


def test_nothing_is_sealed_while_the_kernel_is_at_work_or_before_it_was_prepared(
    stepped: Any, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert seal() == 3
    assert run("--phase", PHASES[0]) == 0
    assert seal() == 3  # a batch
    assert "was not prepared" in capsys.readouterr().err
    with lab.opened(prepare(stepped, PHASES[1])) as front:
        _not_to_the_end(front)
        front.save()
        assert seal(PHASES[1]) == 3
        assert "RN003" in (said := capsys.readouterr().err)
        assert "for 02-schema of toy in local" in said
        assert "shut its kernel down" in said
        assert run("--phase", PHASES[1]) == 3


def test_an_older_prepared_notebook_a_restarted_kernel_and_a_batch_meanwhile_are_refused(
    stepped: Any, lab: Lab
) -> None:
    def refused(path: Path) -> str:
        with lab.opened(path) as front:
            front.step_all()
            (error,) = [one for cell in front.code for one in cell["outputs"] if one["output_type"] == "error"]
            return str(error["evalue"])

    older = prepare(stepped)
    newer = prepare(stepped)
    assert "this attempt is over: 01-inventory.2 came after it" in refused(older)
    with lab.opened(newer) as front:
        _not_to_the_end(front)
    assert "it was opened before" in refused(newer)
    third = prepare(stepped)
    assert run("--phase", PHASES[0]) == 0
    assert "01-inventory.4 came after it" in refused(third)
    assert seal() == 3


def test_another_plan_meanwhile_is_refused(stepped: Any, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepare(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.save()
    mapping = stepped.root / "runbooks" / "toy" / "runbook.md"
    before = mapping.read_text("utf-8")
    mapping.write_text(before + "\nMore.\n", encoding="utf-8")
    assert seal() == 3
    assert "RN001" in capsys.readouterr().err
    mapping.write_text(before, encoding="utf-8")
    saved = path.read_text("utf-8")
    path.write_text(saved.replace('"d1_database_name": "toy"', '"d1_database_name": "other"'), encoding="utf-8")
    assert seal() == 3  # its metadata says other parameters
    path.write_text(saved, encoding="utf-8")
    assert seal() == 0


def test_no_secret_reaches_jupyterlabs_files(stepped: Any, lab: Lab) -> None:
    """What JupyterLab saved, before anything is sealed: a secret in one piece, in two, in an error, in a display."""
    secret = stepped.root / "build" / "local" / "toy-local" / "r2-secret-key"
    secret.parent.mkdir(parents=True)
    secret.write_text("canary-stepped-4711-abcdef\n", encoding="utf-8")
    read = f"import sys\nfrom pathlib import Path\nword = Path({str(secret)!r}).read_text().strip()"
    in_two = (
        "sys.stdout.write('x' + word[:9]); sys.stdout.flush()\nsys.stdout.write(word[9:] + 'y'); sys.stdout.flush()"
    )
    cut = "print('cut', word[:-2], end='', flush=True)"
    shows = "from IPython.display import HTML, display\ndisplay(HTML(f'<b>{word}</b>'))\nprint(word)\nword"
    stepped.notebook(PHASES[0], OPEN.format(phase=PHASES[0]), SHOWN, read, in_two, cut, shows, CHECK, CLOSE)
    path = prepare(stepped)
    with lab.opened(path) as front:
        front.step_all()
        front.save()
        saved = [file.read_text("utf-8", "replace") for file in path.parent.rglob("*") if file.is_file()]
    assert len([text for text in saved if '"nbformat"' in text]) == 2  # the notebook and its checkpoint
    assert not [text for text in saved if "canary-" in text or "4711" in text]
    shown = "".join("".join(one.get("text", "")) for cell in front.code for one in cell["outputs"])
    assert "x[secret file:build/local/toy-local/r2-secret-key]y" in shown
    assert "cut [secret, cut off]" in shown
    assert seal() == 0
    assert not [f for f in path.parent.rglob("*") if f.is_file() and b"canary-" in f.read_bytes()]


def test_prepare_refuses_what_run_refuses(stepped: Any, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_second = ["prepare", "toy", "--env", "local", "--phase", PHASES[1]]
    assert run_command(prepare_second) == 3  # there is no run yet
    assert run("--phase", PHASES[0]) == 0
    assert run_command([*prepare_second, "--approve", "0" * 64]) == 3
    assert run_command(["prepare", "toy", "--env", "local", "--phase", "07-nothing"]) == 3
    stepped.notebook(PHASES[1], CLOSE, parameters="system = 'toy'")
    assert run_command(prepare_second) == 3
    assert "PL009" in capsys.readouterr().err
    assert list(stepped.results()) == [PHASES[0]]
    stepped.notebook(PHASES[1], OPEN.format(phase=PHASES[1]), CHECK, CLOSE)
    path = prepare(stepped, PHASES[1])
    assert stepped.results()[PHASES[1]]["error"] == "prepared to be stepped by hand, and not sealed yet"
    book = json.loads(path.read_text("utf-8"))
    assert not [cell for cell in book["cells"] if cell.get("outputs") or cell.get("execution_count")]
    assert any("injected-parameters" in cell["metadata"].get("tags", []) for cell in book["cells"])
