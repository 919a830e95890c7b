"""What each system's runbook says of its routes is whole, and its requests are those that the command makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import markdown

from towpath.cli.command import run_command
from towpath.plan.mapping import load_mapping
from towpath.routes import corpus
from towpath.routes.application import Application, inventory
from towpath.routes.filling import Login, login_values
from towpath.routes.mapped import Row, exercised, mapped

SYSTEMS = ("joan", "personality-spark")
RUNBOOKS = markdown.ROOT / "runbooks"


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_route_has_its_row_and_its_requests(system: str) -> None:
    traffic = load_mapping(RUNBOOKS / system / "mapping.yaml", "mapping.yaml", system).traffic
    assert traffic.application is not None
    application = Application("openapi", traffic.application.of, also=traffic.application.also)
    routes = inventory(application, markdown.ROOT, {}).routes
    rows = [Row(row.source, row.target, row.auth, row.writes, row.notes) for row in traffic.routes]
    found = mapped(routes, rows, traffic.left)
    assert found.complete
    assert {one.code for one in found.findings} == {"RT106", "RT110"}
    logins = {name: Login(one.route, one.body, one.at) for name, one in traffic.tokens.items()}
    known = [*(f"id:{name}" for name in traffic.samples), *login_values(logins, RUNBOOKS / system)]
    known += [*(f"token:{name}" for name in logins), "new:email", "new:username", "new:password"]
    counted, about = exercised(routes, traffic.left, corpus.read(RUNBOOKS / system / "corpus.jsonl"), known)
    assert about == ()
    assert {title for title, count in counted.items() if not count} == set(traffic.left)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_committed_requests_are_what_the_command_makes(system: str, tmp_path: Path) -> None:
    made = tmp_path / "corpus.jsonl"
    sources = ["--from", "openapi", "--from", f"hand:runbooks/{system}/requests.yaml"]
    assert run_command(["corpus", system, *sources, "--to", str(made)]) == 0
    assert made.read_bytes() == (RUNBOOKS / system / "corpus.jsonl").read_bytes()
