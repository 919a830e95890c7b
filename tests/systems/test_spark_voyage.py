"""Personality Spark's whole voyage at `small`, by the command that people use, and what it says of damage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from helpers.project import PHASES, Ran
from helpers.spark import BUCKET, Spark, spark
from helpers.spark_reading import queued, unlike_the_source

from towpath.tables.schema import literal


@dataclass(frozen=True)
class Voyage:
    """A project after `towpath run personality-spark --env local`."""

    project: Spark
    ran: Ran


@pytest.fixture(scope="module")
def voyage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voyage]:
    with spark(tmp_path_factory.mktemp("voyage") / "spark") as project:
        yield Voyage(project, project.run())


def test_one_command_moves_personality_spark(voyage: Voyage) -> None:
    assert voyage.ran.code == 0, voyage.ran.text
    assert {phase: voyage.project.verdicts()[phase] for phase in PHASES} == dict.fromkeys(PHASES, "PASS")
    for phase in PHASES:
        assert re.search(rf"^{phase} +PASS +[\d.]+ s +\d+ MB  \d+ PASS", voyage.ran.text, re.MULTILINE), voyage.ran.text


def test_the_target_is_the_source_read_by_other_means(voyage: Voyage) -> None:
    assert unlike_the_source(voyage.project) == []


def test_the_delta_was_a_real_one_and_every_job_went_through_the_queue(voyage: Voyage) -> None:
    project = voyage.project
    numbers = {number["name"]: number["value"] for number in project.result("06-cutover")["numbers"]}
    assert numbers["changed_rows"] > 50
    assert numbers["changed_keys"] > 10
    assert numbers["changed_files"] >= 3
    assert numbers["jobs_handed_over"] == len(queued(project)) > 40
    assert project.switch.is_file()


def test_rows_that_stay_behind_are_in_the_record_cell_by_cell(voyage: Voyage) -> None:
    project = voyage.project
    for snapshot in ("snapshot", "snapshot.1"):
        (line,) = (project.folder / snapshot / "parked.jsonl").read_text(encoding="utf-8").splitlines()
        row = json.loads(line)
        assert row["table"] == "public.quiz_analytics", snapshot
        assert row["row"]["completion_rate"] == "CAST(x'4E614E' AS TEXT)", snapshot  # NaN
    numbers = {number["name"]: number["value"] for number in project.result("03-export")["numbers"]}
    assert numbers["parked"] == 1


def test_the_record_of_the_voyage_is_whole_and_keeps_no_secret(voyage: Voyage) -> None:
    project = voyage.project
    verified = project.do(*project.words("verify", project.folder.name))
    assert verified.code == 0, verified.text
    servers = (project.settings.postgresql.password, project.settings.redis.password)
    secrets = [word.encode() for word in (*servers, project.runtime.worker_token.reveal())]
    assert all(len(secret) > 15 for secret in secrets)
    for file in (path for path in (project.root / "outputs").rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert not any(secret in content for secret in secrets), file


@dataclass(frozen=True)
class Damage:
    """One cell, one key, one card and one job, each changed through the runtime's own interfaces."""

    user: str
    name: str
    key: str
    card: str
    job: str
    task: str


@pytest.fixture
def damage(voyage: Voyage) -> Iterator[Damage]:
    """Everything around the four is left as it was, and they are put back at the end."""
    project = voyage.project
    user, name = project.target("SELECT id, username FROM users WHERE username IS NOT NULL ORDER BY id LIMIT 1")[0]
    row = project.target("SELECT id, queue, task, body FROM received_jobs ORDER BY id LIMIT 1 OFFSET 5")[0]
    key, card = min(key for key in project.names() if key.startswith("config:")), min(project.objects())
    value, content = project.value(key).decode(), project.objects()[card]
    with closing(project.runtime.r2()) as s3:
        head = s3.head_object(Bucket=BUCKET, Key=card)
        headers = {word: head[word] for word in ("ContentType", "CacheControl", "Metadata")}
        try:
            project.target(f"UPDATE users SET username = username || 'x' WHERE id = '{user}'")
            project.target(f"DELETE FROM received_jobs WHERE id = '{row[0]}'")
            project.put(key, value + "1")
            s3.put_object(Bucket=BUCKET, Key=card, Body=content[:-1] + bytes([content[-1] ^ 1]), **headers)
            yield Damage(user, name, key, card, row[0], row[2])
        finally:
            project.target(f"UPDATE users SET username = {literal(name)} WHERE id = '{user}'")
            cells = ", ".join(literal(cell) for cell in row)
            project.target(f"INSERT OR IGNORE INTO received_jobs (id, queue, task, body) VALUES ({cells})")
            project.put(key, value)
            s3.put_object(Bucket=BUCKET, Key=card, Body=content, **headers)


def test_one_cell_one_key_one_card_and_one_job_are_found_and_named(voyage: Voyage, damage: Damage) -> None:
    project, params = voyage.project, voyage.project.params()
    assert unlike_the_source(project) == ["users", damage.key, damage.card, damage.job], "the other reading sees them"

    ran = project.phases("05-validate")
    assert ran.code == 1, ran.text
    stem = list(project.verdicts())[-1]
    assert project.verdicts()[stem] == "FAIL"
    database = f"D1 {params['d1_database_id']}"
    assert {(check["code"], check["object"]): check["keys"] for check in project.failed(stem)} == {
        ("TB412", "users"): [f"'{damage.user}'"],
        ("KE406", params["kv_namespace_id"]): [damage.key],
        ("OB404", BUCKET): [damage.card],
        ("JO401", database): [],  # their number
        ("JO402", database): [damage.job],
    }
    found = [d for surface in ("tables", "keys", "objects", "jobs") for d in project.differences(stem, surface)]
    assert [(d["object"], d["key"], d["column"], d["kind"]) for d in found] == [
        ("users", f"'{damage.user}'", "username", "changed"),
        (params["kv_namespace_id"], damage.key, "value", "changed"),
        (BUCKET, damage.card, "sha256", "changed"),
        ("received_jobs", damage.job, "", "missing"),
    ]
    assert (found[0]["expected"], found[0]["found"]) == (literal(damage.name), literal(damage.name + "x"))
    assert found[3]["expected"].startswith(damage.task)
    page = (project.folder / f"{stem}.html").read_text(encoding="utf-8")
    assert "FAIL ·" in page
    assert all(word in page for word in (damage.user, damage.key, damage.card, damage.job))
