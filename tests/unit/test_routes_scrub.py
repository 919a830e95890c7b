"""Whatever form a secret is recorded in, it stays outside the corpus; and what is none stays as it is."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from towpath.plan.inline import secret_kind
from towpath.routes import corpus
from towpath.routes.filling import Login
from towpath.routes.recording import Recorder, Taken
from towpath.routes.route import Route
from towpath.routes.scrub import Scrubber

LOGINS = {"user1": Login("POST /login", {"email": "a@example.org", "password": "env:PASSWORD"})}
ROUTES = (
    Route("GET", "/tasks"),
    Route("POST", "/tasks"),
    Route("GET", "/invitations/{token}"),
    Route("GET", "/people/{email}/tasks/{id}"),
    Route("POST", "/login"),
    Route("POST", "/search"),
)
JSON, FORM, TEXT, XML = "application/json", "application/x-www-form-urlencoded", "text/plain", "application/xml"
MULTIPART = "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"
# put together here, so that no scanner takes this file for one that holds a secret
SIGNED = ".".join(("eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxIn0", "c2lnbmF0dXJl"))
HIDDEN = "hunter2"


def taken(tmp_path: Path, request: dict[str, Any], *sensitive: str) -> tuple[Taken, str]:
    """What a recorder keeps of one request, and how it is written down."""
    found = {"method": "POST", "url": "https://a.example/tasks", "headers": [], **request}
    path = tmp_path / "a.har"
    path.write_text(json.dumps({"log": {"entries": [{"request": found, "response": {"status": 200}}]}}), "utf-8")
    scrubber = Scrubber(LOGINS, sensitive, looks_secret=lambda text: secret_kind(text) is not None)
    kept = Recorder(ROUTES, scrubber, {"POST /login": False, "POST /search": False}).har(path)
    corpus.write(tmp_path / "corpus.jsonl", kept.items)
    return kept, (tmp_path / "corpus.jsonl").read_text("utf-8")


def sent(kind: str, text: str) -> dict[str, Any]:
    return {"postData": {"mimeType": kind, "text": text}}


def encoded(kind: str, content: bytes) -> dict[str, Any]:
    text = base64.b64encode(content).decode()
    return {"postData": {"mimeType": kind, "text": text, "encoding": "base64"}}


def part(head: str, content: str) -> str:
    line = "------WebKitFormBoundary7MA4YWxkTrZu0gW"
    return f"{line}\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n{line}--\r\n"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Application/JSON", json.dumps({"password": HIDDEN})),
        (JSON, json.dumps({"password1": HIDDEN})),
        (JSON, json.dumps({"newpassword": HIDDEN})),
        (JSON, json.dumps({"pwd": HIDDEN})),
        (JSON, json.dumps({"user.password": HIDDEN})),
        (JSON, json.dumps({"refreshtoken": HIDDEN, "passcode": HIDDEN})),
        (JSON, json.dumps({"otp": 4711123})),
        (JSON, json.dumps({"tokens": [HIDDEN]})),
        (JSON, json.dumps({"password": {"value": HIDDEN}})),
        (JSON, json.dumps({"password": [[HIDDEN]]})),
        (JSON, json.dumps({"then": f"/login?next=/&password={HIDDEN}"})),
        (JSON, json.dumps({"query": f'mutation {{ login(password: "{HIDDEN}") {{ id }} }}'})),
        (JSON, json.dumps(f"password={HIDDEN}")),
        (JSON, json.dumps({SIGNED: 1})),
        (FORM, f"user[password]={HIDDEN}"),
        (FORM, f"user.password={HIDDEN}"),
        (FORM, f"a=1;password={HIDDEN}"),
        (FORM, f"next=%2Fa%3Ftoken%3D{HIDDEN}"),
        (FORM, f"password={HIDDEN[:3]};{HIDDEN}"),
        (TEXT, json.dumps({"password": HIDDEN})),
        (TEXT, f"a=1&password={HIDDEN}"),
        (XML, f"<login><password>{HIDDEN}</password></login>"),
        (XML, f'<login><password type="plain">{HIDDEN}</password></login>'),
        ("", f"password={HIDDEN}"),
        (MULTIPART, part("name=password", HIDDEN)),
        (MULTIPART, part('Name="user[password]"', HIDDEN)),
        (MULTIPART, part('name="note"', SIGNED)),
    ],
)
def test_a_body_loses_its_secrets_or_is_left(tmp_path: Path, kind: str, text: str) -> None:
    _, written = taken(tmp_path, sent(kind, text))
    for secret in (HIDDEN, SIGNED, "4711123"):
        assert secret not in written


@pytest.mark.parametrize(
    "url",
    [
        f"https://a.example/invitations/{HIDDEN}",
        f"https://a.example/tasks?user[password]={HIDDEN}",
        f"https://a.example/tasks?a=1;token={HIDDEN}",
        f"https://a.example/tasks?next=https%3A%2F%2Fb.example%2F%3Ftoken%3D{HIDDEN}",
        f"https://a.example/tasks?next=https%3A%2F%2Fann%3A{HIDDEN}%40b.example%2F",
        f"https://ann:{HIDDEN}@a.example/tasks",
        f"https://a.example/people/{HIDDEN}/tasks/7",
        f"https://a.example/tasks?{SIGNED}",
    ],
)
def test_an_address_loses_its_secrets(tmp_path: Path, url: str) -> None:
    kept, written = taken(tmp_path, {"method": "GET", "url": url}, "email")
    assert len(kept.items) == 1
    assert HIDDEN not in written
    assert SIGNED not in written


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (JSON, json.dumps({"title": "Renew the passport: token of love", "max_tokens": 100, "done": True, "n": None})),
        (JSON, json.dumps({"has_password": True, "password": None, "password_hint": ""})),
        (FORM, "title=a+b&note=x%3Dy;z&author=ann"),
        (TEXT, "a note: nothing to hide = nothing"),
        (MULTIPART, part('name="file"; filename="a.txt"', "hello")),
    ],
)
def test_what_is_no_secret_stays_as_it_is(tmp_path: Path, kind: str, text: str) -> None:
    kept, _ = taken(tmp_path, sent(kind, text))
    assert [item.body.decode() for item in kept.items] == [text]


def test_a_picture_stays_as_it_is(tmp_path: Path) -> None:
    picture = b"\x89PNG\xff\x00jwt\xfepwd\x01 token "
    kept, _ = taken(tmp_path, encoded("image/png", picture))
    assert kept.items[0].body == picture
    kept, _ = taken(tmp_path, encoded("application/octet-stream", b"\xff \n" + f"password={HIDDEN}".encode()))
    assert kept.left == {"with a body that may hold a secret": 1}


def test_a_token_against_forged_requests_is_nobodys_login(tmp_path: Path) -> None:
    headers = [{"name": "X-CSRF-Token", "value": "abc"}, {"name": "Authorization", "value": f"Bearer {SIGNED}"}]
    cookie = {"name": "Cookie", "value": "csrf_token=abc; session=def; theme=dark"}
    kept, _ = taken(tmp_path, {"headers": [*headers, cookie]})
    assert kept.items[0].headers == {
        "authorization": "Bearer {token:user1}",
        "cookie": "csrf_token={token:csrf_token}; session={token:user2}",
        "x-csrf-token": "{token:x-csrf-token}",
    }


def test_a_form_of_which_only_the_fields_are_recorded_has_its_body(tmp_path: Path) -> None:
    fields = [{"name": "title", "value": "a b&c"}, {"name": "password", "value": HIDDEN}]
    kept, _ = taken(tmp_path, {"postData": {"mimeType": FORM, "params": fields}})
    assert kept.items[0].body == b"title=a+b%26c&password={token:password}"


def test_a_login_by_a_form_is_sent_as_what_stands_for_it(tmp_path: Path) -> None:
    headers = [{"name": "Content-Type", "value": FORM}]
    request = {"url": "https://a.example/login", "headers": headers, **sent(FORM, f"email=a&password={HIDDEN}")}
    kept, _ = taken(tmp_path, request)
    assert json.loads(kept.items[0].body) == {
        "email": "{login:user1.email}",
        "password": "{login:user1.password}",
    }
    assert kept.items[0].headers == {"content-type": JSON}


def test_a_log_has_no_body_for_a_request_that_only_reads_either(tmp_path: Path) -> None:
    line = '1.2.3.4 - - [21/Nov/2026:10:00:00 +0000] "POST /{} HTTP/1.1" 200 1 "-" "-"\n'
    (tmp_path / "access.log").write_text(line.format("search") + line.format("login"), "utf-8")
    scrubber = Scrubber(LOGINS, looks_secret=lambda _: False)
    kept = Recorder(ROUTES, scrubber, {"POST /login": False, "POST /search": False}).log(tmp_path / "access.log")
    assert [item.route for item in kept.items] == ["POST /login"]
    assert kept.left == {"with a method that needs a body: a log holds none": 1}
