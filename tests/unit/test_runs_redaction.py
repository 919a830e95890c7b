"""What is secret is masked, in whatever form and however it arrives."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import urllib.parse
from pathlib import Path

import nbformat
import pytest

from towpath import secrets
from towpath.cloudflare import Client
from towpath.errors import WrongUse
from towpath.jobs import Push
from towpath.runs import guard
from towpath.runs.redaction import learn, mask_open_end, open_end, redact, redact_notebook, redact_value
from towpath.runs.streams import HEAD, LINE, LINES, TAIL, LongText, StreamText
from towpath.secrets import Secret

CANARY = 'cAn4ry/"quo<te>-0123'


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test knows only its own secrets."""
    monkeypatch.setattr(secrets, "_known", {})


@pytest.fixture
def canary() -> str:
    secrets.remember(CANARY, "env:CANARY")
    return CANARY


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        urllib.parse.quote(CANARY, safe=""),
        urllib.parse.quote_plus(CANARY),
        json.dumps(CANARY)[1:-1],
        html.escape(CANARY),
        repr(CANARY)[1:-1],
        base64.b64encode(CANARY.encode()).decode(),
        CANARY.encode().hex(),
        CANARY.encode().hex().upper(),
    ],
)
@pytest.mark.usefixtures("canary")
def test_every_usual_form_of_a_secret_is_masked(form: str) -> None:
    assert redact(f"before {form} after") == "before [secret env:CANARY] after"


def test_learns_from_variable_names_and_from_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("file-canary-77\n")
    monkeypatch.setenv("MY_API_KEY", "env-canary-88")
    monkeypatch.setenv("PLAIN_NAME", "referenced-99")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "enabled")
    learn({"a": "file:key", "b": "env:PLAIN_NAME", "c": "file:absent", "d": 5, "e": "file:../.."}, tmp_path)
    text = redact("file-canary-77 env-canary-88 referenced-99 enabled")
    assert text == "[secret file:key] [secret env:MY_API_KEY] [secret env:PLAIN_NAME] enabled"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abcdefgh12345678", "Authorization: [secret in a header]"),
        ("{'Authorization': 'Basic dXNlcjpwYXNz'}", "{'Authorization': '[secret in a header]'}"),
        ("x-auth-key: 0123456789", "x-auth-key: [secret in a header]"),
        ("got Bearer abcdefgh.12345678-ijkl", "got Bearer [secret in a header]"),
        ("postgres://joan:hunter2@host/db", "postgres://joan:[secret in a URL]@host/db"),
        (
            "x -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- y",
            "x [secret private key] y",
        ),
    ],
)
def test_what_looks_like_a_secret_is_masked_unknown(text: str, masked: str) -> None:
    assert redact(text) == masked
    assert redact(redact(text)) == masked


@pytest.mark.parametrize("text", ["Basic information about tasks", "see https://example.com:8080/a@b", "a cookie: no"])
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def test_nested_values_and_keys_are_redacted_and_keep_their_type(canary: str) -> None:
    value = nbformat.from_dict({"a": {canary: [canary, 1, None, True]}})
    clean = redact_value(value)
    assert type(clean) is type(value)
    assert clean == {"a": {"[secret env:CANARY]": ["[secret env:CANARY]", 1, None, True]}}


def test_a_whole_notebook_is_redacted(canary: str) -> None:
    notebook = nbformat.v4.new_notebook(metadata={"note": canary})
    cell = nbformat.v4.new_code_cell(f"x = {canary!r}", metadata={"tags": [canary]})
    cell.outputs = [
        nbformat.v4.new_output("stream", text=canary),
        nbformat.v4.new_output("display_data", {"text/html": f"<b>{html.escape(canary)}</b>"}, metadata={"k": canary}),
        nbformat.v4.new_output("error", ename="E", evalue=canary, traceback=[canary]),
    ]
    notebook.cells = [cell, nbformat.v4.new_markdown_cell(canary)]
    redact_notebook(notebook)
    saved = nbformat.writes(notebook)
    assert "cAn4ry" not in saved
    assert saved.count("[secret env:CANARY]") == 9


def test_open_end_sees_the_beginning_of_a_secret_only() -> None:
    secrets.remember("abcabcdef", "env:X")
    assert open_end("say abcab") == 5
    assert open_end("say abcabcde") == 8
    assert open_end("say abcabcdef") == 0
    assert mask_open_end("say abcabcd") == "say [secret, cut off]"
    assert mask_open_end("say abc") == "say abc"


def test_a_secret_split_over_messages_is_never_shown_not_even_in_part(canary: str) -> None:
    stream, shown = StreamText(None), []
    for character in f"token={canary};\nnext {canary}":
        stream.feed(character)
        shown.append(stream.text())
    assert not any("cA" in text for text in shown)
    assert stream.close() == "token=[secret env:CANARY];\nnext [secret env:CANARY]"


def test_a_secret_cut_off_by_the_end_is_masked(canary: str) -> None:
    stream = StreamText(None)
    stream.feed(f"token={canary[:-1]}")
    assert stream.close() == "token=[secret, cut off]"


def test_colours_split_over_messages_and_inside_a_secret_are_removed(canary: str) -> None:
    stream = StreamText(None)
    for part in ("\x1b[3", "1mred\x1b[0m ", canary[:5] + "\x1b[1m" + canary[5:], "\n"):
        stream.feed(part)
    assert stream.close() == "red [secret env:CANARY]\n"


def test_carriage_returns_leave_the_last_state() -> None:
    stream = StreamText(None)
    for number in range(100):
        stream.feed(f"\rrow {number}")
    assert stream.text() == "row 99"
    stream.feed("\r\nabc\b\bXY\n")
    assert stream.close() == "row 99\naXY\n"


def test_a_long_stream_shows_its_ends_and_names_the_file_with_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "log" / "x.txt"
    stream = StreamText(path, "log/x.txt")
    for number in range(5_000):
        stream.feed(f"row {number}\n")
    text = stream.close()
    lines = text.splitlines()
    assert lines[:2] == ["row 0", "row 1"]
    assert lines[-1] == "row 4999"
    assert len(lines) <= 2 * LINES + 4
    assert path.read_text() == "".join(f"row {number}\n" for number in range(5_000))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"5,000 lines, 43,890 characters in all; whole text in log/x.txt, sha256 {sha256}" in text


def test_a_text_between_the_limits_is_whole(tmp_path: Path) -> None:
    kept = LongText(tmp_path / "x")
    text = "é" * (HEAD + TAIL)
    kept.put(text)
    kept.close()
    assert kept.text() == text
    assert not (tmp_path / "x").exists()


def test_one_endless_line_is_passed_on_with_its_secrets_masked(tmp_path: Path, canary: str) -> None:
    path = tmp_path / "line.txt"
    stream = StreamText(path)
    for _ in range(40):
        stream.feed("x" * (LINE // 10 - 7) + canary[:9])
        stream.feed(canary[9:])
    stream.close()
    text = path.read_text()
    assert canary not in text
    assert text.count("[secret env:CANARY]") == 40


def test_a_log_that_cannot_be_written_is_said_and_does_not_stop(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    kept = LongText(tmp_path / "log" / "x.txt")
    kept.put("y" * 20_000)
    kept.close()
    assert "the middle was not kept: " in kept.text()


def test_guard_outside_a_kernel_learns_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_PASSWORD", "guarded-canary")
    assert guard.guard() is False
    assert redact("guarded-canary") == "[secret env:GUARD_PASSWORD]"


@pytest.mark.parametrize("value", ["tökén-canary-1", "first line canary\nsecond line", "tab\tin-a-canary"])
def test_a_token_that_no_header_carries_is_refused_in_one_line_without_it(tmp_path: Path, value: str) -> None:
    (tmp_path / "token").write_text(value, encoding="utf-8")
    token = Secret("file:token", tmp_path)
    for use in (
        token.bearer,
        lambda: Push("http://127.0.0.1:9", token),
        lambda: Client("http://127.0.0.1:9", "", token),
    ):
        with pytest.raises(WrongUse) as refused:
            use()
        assert refused.value.object == "file:token"
        assert "canary" not in refused.value.line
    (tmp_path / "token").write_text("token-canary-1\n", encoding="utf-8")
    assert token.bearer() == "Bearer token-canary-1"
