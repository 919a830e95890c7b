"""The engine through papermill in this process: who gets it, what it refuses, how it saves, what it tells."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.records import Desk, notebook, states
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import papermill_io

from towpath.errors import WrongUse
from towpath.runs.engine import DefaultEngine, TowpathEngine
from towpath.runs.saving import folder_of


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path / "desk"))
    monkeypatch.setenv("CANARY_TOKEN", "environment-canary-3333")
    return Desk(tmp_path / "desk")


@pytest.mark.parametrize("first", ["papermill", "papermill.engines", "towpath.runs.engine", "towpath.runs.kernel"])
def test_the_engine_is_registered_whatever_is_imported_first(first: str) -> None:
    code = f"""import {first}
import papermill
from papermill.engines import papermill_engines as engines
print(*(engines.get_engine(name).__name__ for name in (None, "towpath", "nbclient")))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["DefaultEngine", "TowpathEngine", "NBClientEngine"]


def test_notebooks_of_others_run_with_papermills_own_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    monkeypatch.setattr(NBClientEngine, "execute_notebook", lambda *_, **__: used.append("papermill's"))
    monkeypatch.setattr(TowpathEngine, "execute_notebook", lambda *_, **__: used.append("ours"))
    DefaultEngine.execute_notebook(notebook(is_ours=False), "python3")
    DefaultEngine.execute_notebook(notebook(is_ours=True), "python3")
    assert used == ["papermill's", "ours"]
    assert papermill_engines.nb_kernel_name(None, notebook(), None) == "python3"
    assert papermill_engines.nb_language("towpath", notebook(), None) == "python"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"surprise": 1}, "surprise"),
        ({"source_closed_cleanly": "no"}, "source_closed_cleanly"),
        ({"d1_plan": None}, "d1_plan"),
        ({"cloudflare_token": "aZ9inline0SECRETx7canaryQ"}, "cloudflare_token"),
        ({"d1_database_name": "environment-canary-3333"}, "d1_database_name"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"prepare_only": True}])
def test_wrong_parameters_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], said: str, options: dict[str, Any]
) -> None:
    monkeypatch.setenv("TOWPATH_ROOT", str(tmp_path / "desk"))
    monkeypatch.setenv("CANARY_TOKEN", "environment-canary-3333")
    desk = Desk(tmp_path / "desk", **changed)
    monkeypatch.setattr("towpath.runs.account.KernelClient", None)  # a kernel would now be a TypeError
    with pytest.raises(WrongUse) as refused:
        desk.execute(notebook("1"), **options)
    assert said in str(refused.value)
    assert "canary" not in str(refused.value)
    assert list((desk.folder / "out").iterdir()) == []


def test_missing_parameters_are_refused(desk: Desk) -> None:
    (desk.folder / "params.yaml").write_text("system: joan\n")
    with pytest.raises(WrongUse, match="missing"):
        desk.execute(notebook("1"))
    assert not desk.output.exists()


def test_a_secret_in_a_cells_source_is_refused(desk: Desk) -> None:
    with pytest.raises(WrongUse, match="cell c1: holds a secret"):
        desk.execute(notebook("token = 'environment-canary-3333'"))
    assert not desk.output.exists()


def test_prepared_notebooks_are_written_when_their_parameters_are_right(desk: Desk) -> None:
    desk.execute(notebook("1"), prepare_only=True)
    assert "environment-canary" not in desk.everything()
    assert desk.saved().metadata.papermill.parameters.cloudflare_token == "env:CANARY_TOKEN"


def test_a_failed_cell_stops_the_run_and_later_cells_stay_pending(desk: Desk) -> None:
    cells = ("print('one')", "raise ValueError('no such table')", "print('three')")
    with pytest.raises(PapermillExecutionError, match="no such table"):
        desk.execute(notebook(*cells))
    saved = desk.saved()
    assert states(saved) == {"parameters": "completed", "c1": "completed", "c2": "failed", "c3": "pending"}
    assert saved.metadata.papermill.exception is True
    assert saved.metadata.papermill.reason == "ValueError: no such table"
    assert saved.metadata.papermill.end_time


def test_displays_that_are_rewritten_stay_in_their_place_beside_merged_streams(desk: Desk) -> None:
    cells = (
        "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')\n"
        "handle = display({'text/plain': 'first'}, raw=True, display_id='x')\nprint('d')",
        "handle.update({'text/plain': 'second'}, raw=True)",
        "print('gone')\nfrom IPython.display import clear_output\nclear_output()\nprint('kept')",
    )
    desk.execute(notebook(*cells))
    one, _, three = (cell for cell in desk.saved().cells if cell.id in ("c1", "c2", "c3"))
    outputs = [(o.output_type, o.get("name"), o.get("text") or o.data["text/plain"]) for o in one.outputs]
    assert sorted(outputs) == [
        ("display_data", None, "second"),
        ("stream", "stderr", "b\n"),
        ("stream", "stdout", "a\nc\nd\n"),
    ]
    assert [o.text for o in three.outputs] == ["kept\n"]


def test_long_and_rich_outputs_are_cut_and_kept_beside_the_notebook(desk: Desk) -> None:
    cells = (
        "for n in range(9000):\n    print('row', n)",
        "display({'text/html': '<p>' + 'x' * 2_000_000, 'text/plain': 'short'}, raw=True)",
    )
    desk.execute(notebook(*cells))
    assert desk.output.stat().st_size < 30_000
    log = desk.folder / "out" / "log"
    assert (log / "01-inventory.c1.stdout.txt").read_text().endswith("row 8999\n")
    assert (log / "01-inventory.c2.html.txt").stat().st_size == 2_000_003
    saved = desk.saved()
    cell = next(cell for cell in saved.cells if cell.id == "c2")
    assert "log/01-inventory.c2.html.txt, sha256 " in cell.outputs[0].data["text/plain"]


def test_saving_is_atomic_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    papermill_io.write('{"metadata": {}}', str(path))
    with pytest.raises(UnicodeEncodeError):
        papermill_io.write('{"metadata": {"name": "\ud800"}}', str(path))
    assert path.read_text() == '{"metadata": {}}'
    assert [p.name for p in tmp_path.iterdir()] == ["x.ipynb"]


def test_relative_paths_links_and_devices_are_written_as_papermill_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "real" / "x.ipynb")
    papermill_io.write("{}", "link.ipynb")
    assert (tmp_path / "link.ipynb").is_symlink()
    assert (tmp_path / "real" / "x.ipynb").read_text() == "{}"
    papermill_io.write("{}", "/dev/null", extensions=None)
    assert Path("/dev/null").is_char_device()
    with pytest.raises(FileNotFoundError, match="doesn't exist"):
        papermill_io.write("{}", "absent/x.ipynb")
    assert folder_of("real/x.ipynb") == (tmp_path / "real").resolve()
    assert folder_of("s3://bucket/x.ipynb") is None
    assert folder_of(None) is None


def test_the_metadata_is_strict_json(desk: Desk) -> None:
    desk.execute(notebook("1"))
    json.loads(desk.output.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert nbformat.validate(desk.saved()) is None
