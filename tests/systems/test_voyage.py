"""Joan's whole voyage at `small`, by the command that people use, and what it says when something is not right."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import yaml
from helpers.browser import chromium
from helpers.project import PHASES, Project, Ran, beside, joan
from runbooks.joan.legacy.planted import PLANTED

from towpath.sensitive import digest_of
from towpath.tables.schema import literal


@dataclass(frozen=True)
class Voyage:
    """A project after `towpath run joan --env local`."""

    project: Project
    ran: Ran


@pytest.fixture(scope="module")
def voyage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voyage]:
    with joan(tmp_path_factory.mktemp("voyage") / "joan") as project:
        yield Voyage(project, project.run())


@pytest.fixture(scope="module")
def twin(voyage: Voyage, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same Joan in another project, whose plan a test may change."""
    return beside(voyage.project, tmp_path_factory.mktemp("twin") / "joan")


def test_one_command_moves_joan(voyage: Voyage) -> None:
    assert voyage.ran.code == 0, voyage.ran.text
    assert {phase: voyage.project.verdicts()[phase] for phase in PHASES} == dict.fromkeys(PHASES, "PASS")
    for phase in PHASES:
        assert re.search(rf"^{phase} +PASS +[\d.]+ s +\d+ MB  \d+ PASS", voyage.ran.text, re.MULTILINE), voyage.ran.text
    record = re.search(r"^record +(\S+)$", voyage.ran.text, re.MULTILINE)
    assert record
    page = (voyage.project.root / record[1]).read_text(encoding="utf-8")
    assert "PASS · joan, local" in page


def test_the_target_is_the_source_read_by_other_means(voyage: Voyage) -> None:
    assert voyage.project.unlike_the_source() == []
    assert len(voyage.project.objects()) > 41, "the shift before the cutover adds files"


def test_the_delta_was_a_real_one(voyage: Voyage) -> None:
    numbers = {number["name"]: number["value"] for number in voyage.project.result("06-cutover")["numbers"]}
    assert numbers["changed_rows"] > 50
    assert numbers["changed_files"] >= 3
    assert numbers["freeze_seconds"] > 0
    assert voyage.project.switch.is_file()


def test_the_record_of_the_voyage_is_whole(voyage: Voyage) -> None:
    project = voyage.project
    verified = project.do(*project.words("verify", project.folder.name))
    assert verified.code == 0, verified.text
    for phase in PHASES:
        result = project.result(phase)
        assert (result["verdict"], result["exit_code"], result["error"]) == ("PASS", 0, "")
        assert result["plan"] == project.result("00-ready")["plan"]
        assert {f"{phase}.ipynb", f"{phase}.html", f"{phase}.checks.json"} <= {a["path"] for a in result["artefacts"]}
        assert "PASS ·" in (project.folder / f"{phase}.html").read_text(encoding="utf-8")
    waived = [check for check in project.result("01-inventory")["checks"] if check["verdict"] == "WAIVED"]
    assert len(waived) == len(yaml.safe_load(project.runbook("waivers.yaml").read_text(encoding="utf-8")))


def test_every_page_of_the_voyage_keeps_what_pages_promise(voyage: Voyage) -> None:
    outputs = voyage.project.folder.parents[2]
    pages = [outputs / "index.html", *sorted(voyage.project.folder.glob("*.html"))]
    assert len(pages) == 2 + len(PHASES)
    assert f"joan/local/{voyage.project.folder.name}/index.html" in pages[0].read_text(encoding="utf-8")
    with chromium() as browser:
        for page in pages:
            assert "PASS" in browser.readable(page, rules=[["broad", "dark"]], most=40)["text"]


def test_one_row_and_one_character_are_found_and_named(voyage: Voyage) -> None:
    """And once they are put back, the same phase passes again; every attempt stays in the record."""
    project = voyage.project
    task, title = project.target("SELECT id, title FROM tasks WHERE title LIKE '%e%' ORDER BY id LIMIT 1 OFFSET 3")[0]
    flipped = title.replace("e", "3", 1)
    columns = [row[0] for row in project.target("SELECT name FROM pragma_table_info('task_activities')")]
    values = " || ', ' || ".join(f"quote({column})" for column in columns)
    (id, row) = project.target(f"SELECT id, {values} FROM task_activities ORDER BY id LIMIT 1 OFFSET 7")[0]
    try:
        project.target(f"DELETE FROM task_activities WHERE id = {id}")
        project.target(f"UPDATE tasks SET title = {literal(flipped)} WHERE id = {literal(task)}")
        ran = project.phases("05-validate")
        assert ran.code == 1, ran.text
        stem = list(project.verdicts())[-1]
        assert project.verdicts()[stem] == "FAIL"
        found = {(d["object"], d["column"], d["kind"]): d for d in project.differences(stem)}
        assert set(found) == {("task_activities", "", "missing"), ("tasks", "title", "changed")}
        missing, changed = found["task_activities", "", "missing"], found["tasks", "title", "changed"]
        assert str(id) in missing["key"]
        assert task in changed["key"]
        assert (title in changed["expected"], flipped in changed["found"]) == (True, True)
        assert changed["expected"] != changed["found"]
        failed = {(check["code"], check["object"]) for check in project.failed(stem)}
        assert failed == {("TB411", "task_activities"), ("TB412", "task_activities"), ("TB412", "tasks")}
        page = (project.folder / f"{stem}.html").read_text(encoding="utf-8")
        assert "FAIL ·" in page
        assert flipped in page
        assert "TB41" in ran.text
    finally:
        project.target(f"INSERT OR REPLACE INTO task_activities ({', '.join(columns)}) VALUES ({row})")
        project.target(f"UPDATE tasks SET title = {literal(title)} WHERE id = {literal(task)}")
    again = project.phases("05-validate")
    assert again.code == 0, again.text
    assert list(project.verdicts().values())[-3:] == ["PASS", "FAIL", "PASS"]
    assert project.unlike_the_source() == []


def test_a_difference_in_a_sensitive_column_is_named_without_its_value(voyage: Voyage) -> None:
    project, other = voyage.project, "nobody.knows@example.org"
    (id, email) = project.target("SELECT id, email FROM users ORDER BY id LIMIT 1")[0]
    try:
        project.target(f"UPDATE users SET email = {literal(other)} WHERE id = {literal(id)}")
        ran = project.phases("05-validate")
    finally:
        project.target(f"UPDATE users SET email = {literal(email)} WHERE id = {literal(id)}")
    stem = list(project.verdicts())[-1]
    (named,) = project.differences(stem)
    assert (ran.code, named["object"], named["column"]) == (1, "users", "email")
    assert (named["expected"], named["found"]) == tuple(f"text {digest_of(value)}" for value in (email, other))
    files = [path for path in project.folder.rglob("*") if path.is_file()]
    rows = [path for path in files if path.relative_to(project.folder).parts[0].startswith("snapshot")]
    held = {path for path in files for value in (email, other) if value.encode() in path.read_bytes()}
    assert held <= set(rows), "only the rows themselves are in the record"
    assert len(files) > len(rows)
    assert digest_of(other) in (project.folder / f"{stem}.html").read_text(encoding="utf-8")
    assert (email in ran.text, other in ran.text) == (False, False)
    assert project.phases("05-validate").code == 0


def test_a_cutover_again_finds_nothing_to_change(voyage: Voyage) -> None:
    project = voyage.project
    before = project.fingerprint()
    ran = project.phases("06-cutover")
    assert ran.code == 0, ran.text
    stem = [name for name in project.verdicts() if name.startswith("06-cutover")][-1]
    numbers = {number["name"]: number["value"] for number in project.result(stem)["numbers"]}
    assert (numbers["changed_rows"], numbers["changed_files"]) == (0, 0)
    assert project.fingerprint() == before
    assert project.unlike_the_source() == []


def planted_finding(name: str) -> tuple[str, str]:
    """Where the inventory must name a planted defect: code and object."""
    planted = next(p for p in PLANTED if p.name == name)
    if name == "an attachment without its file":
        return "OB201", "attachments/"
    if name == "a file without its row":
        return "OB202", "attachments/"
    return ("TB201" if name == "integers beyond 2^53" else "TB203"), f"{planted.table}.{planted.column}"


def test_without_decisions_the_inventory_names_every_planted_defect(twin: Project) -> None:
    mapping = yaml.safe_load(twin.runbook("mapping.yaml").read_text(encoding="utf-8"))
    kept = {name: twin.runbook(name).read_text(encoding="utf-8") for name in ("mapping.yaml", "waivers.yaml")}
    try:
        twin.runbook("mapping.yaml").write_text(yaml.safe_dump({**mapping, "decisions": []}), encoding="utf-8")
        twin.runbook("waivers.yaml").write_text("[]\n", encoding="utf-8")
        ran = twin.phases("01-inventory")
    finally:
        for name, text in kept.items():
            twin.runbook(name).write_text(text, encoding="utf-8")
    assert ran.code == 1, ran.text
    failed = {(check["code"], check["object"]): check for check in twin.failed("01-inventory")}
    assert set(failed) == {planted_finding(planted.name) for planted in PLANTED}
    for planted in PLANTED:
        check = failed[planted_finding(planted.name)]
        assert planted.count == 1 or re.search(rf"\b{planted.count}\b", check["found"]), check
        assert len(check["keys"]) == planted.count, check
        assert f"add a decision for {check['code']} {check['object']} to mapping.yaml" in check["next"]


def test_a_waiver_too_small_and_one_too_old_are_named(twin: Project) -> None:
    text = twin.runbook("waivers.yaml").read_text(encoding="utf-8")
    waivers = yaml.safe_load(text)
    small = next(w for w in waivers if w["object"] == "tasks.project_id")
    old = next(w for w in waivers if w["object"] == "notes.folder_id")
    small["count"] -= 1
    old["expires"] = dt.date(2020, 1, 31)
    try:
        twin.runbook("waivers.yaml").write_text(yaml.safe_dump(waivers), encoding="utf-8")
        ran = twin.phases("01-inventory")
    finally:
        twin.runbook("waivers.yaml").write_text(text, encoding="utf-8")
    assert ran.code == 1, ran.text
    failed = {check["object"]: check for check in twin.failed("01-inventory")}
    assert set(failed) == {"tasks.project_id", "notes.folder_id"}
    assert failed["tasks.project_id"]["expected"] == "waived: exactly 2"
    assert "waivers.yaml accepts 2, the source holds 3" in failed["tasks.project_id"]["next"]
    assert "expired on 2020-01-31" in failed["notes.folder_id"]["next"]


def test_a_source_that_went_on_by_itself_is_not_overwritten(voyage: Voyage) -> None:
    project = voyage.project
    (id, title) = project.source("SELECT id, title FROM tasks ORDER BY id LIMIT 1")[0]
    project.source(f"UPDATE tasks SET title = 'the old side again' WHERE id = {literal(id)}")
    try:
        ran = project.phases("07-roll-back")
        assert ran.code == 2, ran.text
        assert "nothing was carried back, because CU201 rows fails: 1: tasks " in ran.text
        assert project.switch.is_file()
    finally:
        project.source(f"UPDATE tasks SET title = {literal(title)} WHERE id = {literal(id)}")


def test_the_way_back(voyage: Voyage) -> None:
    """The new side writes, and the old one serves again with all of it; what decisions had emptied is still there."""
    project = voyage.project
    orphans = "SELECT count(*) FROM tasks WHERE project_id NOT IN (SELECT id FROM projects)"
    before, key = project.source(orphans), next(iter(sorted(project.objects())))
    assert before[0][0] > 0
    (id,) = project.target("SELECT id FROM tasks WHERE project_id IS NULL ORDER BY id LIMIT 1")[0]
    project.target(f"UPDATE tasks SET title = 'written there' WHERE id = {literal(id)}")
    project.target("DELETE FROM task_activities WHERE id = (SELECT max(id) FROM task_activities)")
    with closing(project.runtime.r2()) as s3:
        s3.put_object(Bucket=project.runtime.bucket, Key=f"{key}.new", Body=b"uploaded there")
        s3.delete_object(Bucket=project.runtime.bucket, Key=key)
    ran = project.phases("07-roll-back")
    assert ran.code == 0, ran.text
    assert project.unlike_the_source() == []
    assert project.source(f"SELECT title FROM tasks WHERE id = {literal(id)}") == [("written there",)]
    assert project.source(orphans) == before
    assert not (project.data / key).exists()
    assert (project.data / f"{key}.new").read_bytes() == b"uploaded there"
    assert not project.switch.exists()
    numbers = {n["name"]: n["value"] for n in project.result(list(project.verdicts())[-1])["numbers"]}
    assert (numbers["rows_to_carry_back"], numbers["files_to_carry_back"]) == (2, 2)
    project.live(99)
    ran = project.phases("06-cutover")
    assert ran.code == 3, ran.text
    assert "the source serves again, and every snapshot of this run is out of date" in ran.text
    verified = project.do(*project.words("verify", project.folder.name))
    assert verified.code == 0, verified.text
