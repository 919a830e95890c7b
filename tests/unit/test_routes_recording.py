"""Requests out of documents, recordings and by hand; whatever is secret stays outside."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from helpers import markdown

from towpath.cli.command import run_command
from towpath.errors import BadInput
from towpath.plan.inline import secret_kind
from towpath.routes import corpus
from towpath.routes.corpus import Recorded
from towpath.routes.filling import (
    Login,
    Sample,
    filled,
    login_request,
    login_values,
    placeholders,
    sampled,
    token_of,
)
from towpath.routes.generate import generate
from towpath.routes.hand import from_plain
from towpath.routes.recording import Recorder
from towpath.routes.route import Route
from towpath.routes.scrub import Scrubber

LOGINS = {
    "user1": Login("POST /login", {"email": "a@example.org", "password": "env:PASSWORD"}),
    "user2": Login("POST /login", {}),
}
ROUTES = (
    Route("GET", "/tasks", auth="bearer"),
    Route("POST", "/tasks", auth="bearer"),
    Route("GET", "/tasks/{id}", auth="bearer"),
    Route("POST", "/login"),
    Route("GET", "/page", auth="session"),
)
# put together here, so that no scanner takes this file for one that holds a secret
FIRST, SECOND = (".".join(("eyJhbGciOiJIUzI1NiJ9", f"eyJzdWIiOiI{n}In0", f"c2lnbmF0dXJl{n}")) for n in "12")
GITHUB = "gh" + "p_" + "0123456789abcdefghijklmnopqrstuvwxyz"


def scrubber(*sensitive: str) -> Scrubber:
    return Scrubber(LOGINS, sensitive, looks_secret=lambda text: secret_kind(text) is not None)


def har(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": list(entries)}}), encoding="utf-8")
    return tmp_path / "a.har"


def entry(method: str, url: str, headers: dict[str, str], text: str = "", status: int = 200) -> dict[str, Any]:
    sent = {"postData": {"text": text, "mimeType": "application/json"}} if text else {}
    listed = [{"name": name, "value": value} for name, value in headers.items()]
    return {"request": {"method": method, "url": url, "headers": listed} | sent, "response": {"status": status}}


def test_a_har_file_loses_its_secrets_and_keeps_who_was_who(tmp_path: Path) -> None:
    base = "https://joan.example.com"
    bearer = [{"Authorization": f"Bearer {token}", "Cookie": "a=1", "User-Agent": "x"} for token in (FIRST, SECOND)]
    path = har(
        tmp_path,
        entry("POST", f"{base}/login", {}, '{"email": "real@example.com", "password": "hunter22"}'),
        entry("GET", f"{base}/tasks?page=2&access_token={GITHUB}", bearer[0]),
        entry("GET", f"{base}/tasks", bearer[1]),
        entry("GET", f"{base}/tasks", bearer[1]),
        entry(
            "POST", f"{base}/tasks", bearer[0], json.dumps({"title": "x", "note": GITHUB, "email": "real@e.com"}), 201
        ),
        entry("GET", f"{base}/page", {"Cookie": f"theme=dark; sessionid={GITHUB}"}),
        entry("GET", f"{base}/elsewhere", {}),
        entry("GET", "https://cdn.example.net/tasks", {}),
        entry("POST", f"{base}/login", {}, '{"email": "real@example.com", "password": "wrong one"}', 401),
    )
    taken = Recorder(ROUTES, scrubber("email"), {"POST /login": False}).har(path)
    corpus.write(tmp_path / "corpus.jsonl", taken.items)
    written = (tmp_path / "corpus.jsonl").read_text("utf-8")
    for secret in (FIRST, SECOND, GITHUB, "hunter22", "wrong one", "real@", "x-user", "User-Agent"):
        assert secret not in written
    login, second, third, new, page, refused = taken.items
    assert json.loads(login.body) == {"email": "{login:user1.email}", "password": "{login:user1.password}"}
    assert login.writes is False
    assert second.path == "/tasks?page=2&access_token={token:access_token}"
    assert (second.headers["authorization"], third.headers["authorization"]) == (
        "Bearer {token:user1}",
        "Bearer {token:user2}",
    )
    assert json.loads(new.body) == {"title": "x", "note": "{token:unknown}", "email": "{id:email}"}
    assert (new.expects, new.source, new.route) == (201, "har", "POST /tasks")
    assert page.headers == {"cookie": "sessionid={token:user3}"}
    assert json.loads(refused.body) == {"email": "{id:email}", "password": "{token:password}"}
    assert taken.left == {"to another host": 1, "that is there already": 1, "of no route": 1}


def test_so_many_of_a_route_are_kept_and_bodies_that_nobody_can_read_are_left(tmp_path: Path) -> None:
    many = [entry("GET", f"https://a/tasks/{number}", {}) for number in range(5)]
    broken = [entry("POST", "https://a/tasks", {}, '{"password": "hunter22')]
    form = entry("POST", "https://a/tasks", {"content-type": "application/x-www-form-urlencoded"}, "a=1&password=x+y")
    taken = Recorder(ROUTES, scrubber(), {}, each=3).har(har(tmp_path, *many, *broken, form))
    assert len(taken.items) == 4
    assert taken.items[-1].body == b"a=1&password={token:password}"
    assert taken.left == {"of a route that has 3 already": 2, "with a body that may hold a secret": 1}


@pytest.mark.parametrize("text", ["{", "{}", '{"log": {"entries": [{}]}}', "[]"])
def test_what_is_no_har_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.har").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="is no HAR file"):
        Recorder(ROUTES, scrubber(), {}).har(tmp_path / "a.har")
    with pytest.raises(BadInput, match="cannot be read"):
        Recorder(ROUTES, scrubber(), {}).har(tmp_path / "none.har")


LOG = """\
192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] "GET /tasks?page=1&token=abc HTTP/1.1" 200 512 "-" "Mozilla/5.0"
192.0.2.1 - ann [21/Nov/2026:10:00:01 +0000] "GET /tasks/7 HTTP/1.1" 401 12
192.0.2.1 - - [21/Nov/2026:10:00:02 +0000] "POST /tasks HTTP/2.0" 201 99 "-" "a \\"quoted\\" agent"
192.0.2.1 - - [21/Nov/2026:10:00:03 +0000] "GET /page HTTP/1.1" 200 1 "-" "-"
192.0.2.1 - - [21/Nov/2026:10:00:04 +0000] "GET /none HTTP/1.1" 404 1 "-" "-"
192.0.2.1 - - [21/Nov/2026:10:00:05 +0000] "GET http://joan.example.com/tasks HTTP/1.1" 200 1 "-" "-"
\\x16\\x03\\x01 what a scanner sends
"""


def test_an_access_log_gives_what_only_reads(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG, encoding="utf-8")
    taken = Recorder(ROUTES, scrubber(), {}).log(tmp_path / "access.log")
    bearer = {"authorization": "Bearer {token:user1}"}
    assert [(one.path, one.headers, one.expects) for one in taken.items] == [
        ("/tasks?page=1&token={token:token}", bearer, 200),
        ("/tasks/7", {}, 401),
        ("/tasks", bearer, 200),
    ]
    assert taken.left == {
        "line that is no request": 1,
        "that writes: a log holds no body": 1,
        "that asks for a login: a log holds none": 1,
        "of no route": 1,
    }
    (tmp_path / "empty.log").write_text("nothing\n", encoding="utf-8")
    with pytest.raises(BadInput, match="combined format"):
        Recorder(ROUTES, scrubber(), {}).log(tmp_path / "empty.log")


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "count", "kind", "folder_id", "when", "inner", "list"],
    "properties": {
        "name": {"type": "string", "minLength": 10, "maxLength": 12},
        "count": {"type": "integer", "minimum": 3, "multipleOf": 2},
        "kind": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Kind"}]},
        "folder_id": {"type": "string", "format": "uuid"},
        "when": {"type": ["null", "string"], "format": "date"},
        "inner": {"allOf": [{"properties": {"a": {"default": 1}}, "required": ["a"]}, {"type": "object"}]},
        "list": {"type": "array", "minItems": 2, "items": {"example": "x"}},
    },
}


def document(**operations: Any) -> dict[str, Any]:
    schemas = {"Kind": {"type": "string", "enum": ["one", "two"]}, "Body": SCHEMA}
    return {"openapi": "3.1.0", "components": {"schemas": schemas}, "paths": {"/x/{id}": operations}}


def body(kind: str, schema: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {kind: {"schema": schema}}}, "responses": {"200": {}, "422": {}}}


def test_a_body_is_the_smallest_that_its_schema_allows() -> None:
    made = generate(
        document(put=body("application/json", {"$ref": "#/components/schemas/Body"})), ["id", "folder_id"], {}, {}
    )
    assert made.unmade == {}
    assert json.loads(made.items[0].body) == {
        "name": "towpath, cha",
        "count": 4,
        "kind": "one",
        "folder_id": "{id:folder_id}",
        "when": "2026-01-02",
        "inner": {"a": 1},
        "list": ["x", "x"],
    }
    assert [(one.expects, one.note) for one in made.items] == [
        (200, "as it should be"),
        (422, "a body that lacks what it must have"),
        (422, "a body with a field that nobody knows"),
    ]
    assert made.items[0].path == "/x/{id:id}"


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (body("application/json", {"type": "string", "pattern": "^a+$"}), "must fit a pattern"),
        (body("image/png", {}), "a body of image/png must be recorded"),
    ],
)
def test_what_cannot_be_made_is_told(operation: dict[str, Any], why: str) -> None:
    made = generate(document(post=operation), ["id"], {}, {})
    assert why in made.unmade["POST /x/{id}"]
    made = generate(document(get={}), [], {}, {})
    assert "no sample of id" in made.unmade["GET /x/{id}"]


def test_a_request_is_filled_as_its_place_demands() -> None:
    item = Recorded(
        "POST /x/{id}",
        "POST",
        "/x/{id:a}?q={id:a}",
        {"content-type": "application/json", "authorization": "Bearer {token:me}"},
        b'{"a": "{id:a}", "b": "{new:b}"}',
        "hand",
    )
    assert placeholders(item) == {"id:a", "token:me", "new:b"}
    done = filled(item, {"id:a": 'ä "/&', "token:me": "T", "new:b": "n"})
    assert done.path == "/x/%C3%A4%20%22%2F%26?q=%C3%A4%20%22%2F%26"
    assert done.headers["authorization"] == "Bearer T"
    assert json.loads(done.body) == {"a": 'ä "/&', "b": "n"}
    with pytest.raises(BadInput, match=r"\{new:b\} of POST /x/\{id\}: nothing fills it"):
        filled(item, {"id:a": "1", "token:me": "T"})
    raw = Recorded("POST /x", "POST", "/x", {}, b"\xff\x00{id:a}", "hand")
    assert filled(raw, {"id:a": "1"}).body == b"\xff\x001"


def test_samples_logins_and_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"a": [(7,)], "b": [("0" * 31 + "1",)], "c": [], "d": [(None,)], "e": [(b"\0" * 16,)]}
    samples = {name: Sample(name, "uuid" if name in "be" else "text") for name in answers}
    assert sampled(samples, lambda query: answers[query]) == {
        "id:a": "7",
        "id:b": "00000000-0000-0000-0000-000000000001",
        "id:e": "00000000-0000-0000-0000-000000000000",
    }
    with pytest.raises(BadInput, match="gives no UUID"):
        sampled({"a": Sample("a", "uuid")}, lambda _: [("x",)])
    monkeypatch.setenv("PASSWORD", "correct horse")
    values = login_values(LOGINS, tmp_path)
    assert values == {"login:user1.email": "a@example.org", "login:user1.password": "correct horse"}
    sent = filled(login_request("user1", LOGINS["user1"]), values)
    assert json.loads(sent.body) == {"email": "a@example.org", "password": "correct horse"}
    assert token_of(b'{"data": [{"t": "T"}]}', Login("POST /l", {}, "$.data[0].t")) == "T"
    for answer in (b"", b"[]", b'{"access_token": 7}', b'{"access_token": ""}'):
        with pytest.raises(BadInput, match=r"no token at \$\.access_token"):
            token_of(answer, LOGINS["user1"])


def test_requests_written_by_hand() -> None:
    rows = (
        {"send": "GET /tasks/7?a=1", "login": "me", "headers": {"Range": "bytes=0-1"}, "expects": 206, "note": "why"},
        {"send": "POST /tasks", "base64": base64.b64encode(b"\xff").decode(), "type": "image/png"},
        {"send": "POST /login", "json": {"a": "ü"}},
    )
    first, second, third = from_plain({"requests": rows}, "r.yaml", ROUTES, {"POST /login": False})
    assert (first.route, first.expects, first.note) == ("GET /tasks/{id}", 206, "why")
    assert first.headers == {"authorization": "Bearer {token:me}", "range": "bytes=0-1"}
    assert (second.body, second.headers) == (b"\xff", {"content-type": "image/png"})
    assert (third.body, third.writes) == ('{"a": "ü"}'.encode(), False)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({}, "says not what is sent"),
        ({"send": "GET tasks"}, "is no request"),
        ({"send": "GET /none"}, "is of no route"),
        ({"send": "GET /tasks", "body": 1}, "unknown key body"),
        ({"send": "POST /tasks", "json": 1, "text": "1"}, "bodies json and text"),
        ({"send": "POST /tasks", "base64": "?"}, "not base64"),
        ({"send": "GET /tasks", "expects": "ok"}, "expects no status"),
        ({"send": "GET /tasks", "expects": True}, "expects no status"),
        ({"send": "GET /tasks", "expects": 9999}, "expects no status"),
        ({"send": "GET /tasks", "headers": 5}, "has headers that are no list of names with values"),
        ({"send": "GET /tasks", "headers": ["range"]}, "has headers that are no list of names with values"),
        ({"send": "GET /tasks", "login": {"a": 1}}, "names no login"),
        ({"send": "GET /tasks", "login": "An Na"}, "names no login"),
    ],
)
def test_what_is_wrong_by_hand_is_named(row: dict[str, Any], what: str) -> None:
    with pytest.raises(BadInput, match=rf"r\.yaml requests\[0\].*{what}"):
        from_plain({"requests": (row,)}, "r.yaml", ROUTES, {})
    with pytest.raises(BadInput, match="no list of requests"):
        from_plain({"request": ()}, "r.yaml", ROUTES, {})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["joan", "--from", "curl:x"], "openapi, har:FILE"),
        (["joan", "--from", "har:none.har"], "none.har: cannot be read"),
        (["nobody", "--from", "openapi"], "runbooks/nobody/mapping.yaml"),
    ],
)
def test_the_command_says_what_is_wrong(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(markdown.ROOT)
    assert run_command(["corpus", *words]) in (2, 3)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"send": "GET /tasks", "headers": {"authorization": f"Bearer {FIRST}"}}, "a signed token"),
        ({"send": "POST /tasks", "json": {"title": GITHUB}}, "a token"),
        ({"send": f"GET /tasks?status={FIRST}"}, "a signed token"),
    ],
)
def test_a_secret_written_by_hand_is_refused(
    row: dict[str, Any], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(markdown.ROOT)
    (tmp_path / "r.yaml").write_text(json.dumps({"requests": [row]}), encoding="utf-8")
    words = ["--from", f"hand:{tmp_path / 'r.yaml'}", "--to", str(tmp_path / "corpus.jsonl")]
    assert run_command(["corpus", "joan", *words]) == 2
    told = capsys.readouterr().err
    assert f"a request of {row['send'].split('?')[0]} holds what looks like {kind}. Next: write {{token:NAME}}" in told
    assert not any(secret in told for secret in (FIRST, GITHUB))
    assert not (tmp_path / "corpus.jsonl").exists()
