"""The corpus on disk: what is written is read again, and whatever is cut or changed is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from towpath.errors import BadInput
from towpath.routes.corpus import Recorded, read, write

ITEMS = [
    Recorded("GET /tasks/{id}", "GET", "/tasks/{id:task}?a=ä", {"authorization": "Bearer {token:user1}"}, b"", "log"),
    Recorded("POST /tasks", "POST", "/tasks", {"content-type": "application/json"}, '{"title": "ä"}'.encode(), "har"),
    Recorded("POST /cards", "POST", "/cards", {}, b"\x89PNG\xff", "hand", expects=415, note="it is no card"),
    Recorded("GET /generate", "GET", "/generate", {}, b"", "openapi", declared=True),
    Recorded("POST /login", "POST", "/login", {}, b"", "openapi", declared=False),
]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    assert write(tmp_path / "corpus.jsonl", ITEMS) == 5
    assert list(read(tmp_path / "corpus.jsonl")) == ITEMS
    assert [one.writes for one in ITEMS] == [False, True, True, True, False]


def test_an_empty_corpus_is_whole(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", [])
    assert list(read(tmp_path / "corpus.jsonl")) == []


def lines(path: Path, *changed: tuple[int, str, str]) -> None:
    text = path.read_text("utf-8").splitlines(keepends=True)
    for number, old, new in changed:
        assert old in text[number]
        text[number] = text[number].replace(old, new)
    path.write_text("".join(text), "utf-8")


@pytest.mark.parametrize("left", range(6))
def test_a_cut_corpus_is_seen_wherever_it_was_cut(tmp_path: Path, left: int) -> None:
    path = tmp_path / "corpus.jsonl"
    write(path, ITEMS)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    with pytest.raises(BadInput, match="it was cut"):
        read(path)


def test_a_missing_line_and_a_changed_value_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    write(path, ITEMS)
    lines(path, (1, "ä", "a"))
    with pytest.raises(BadInput, match="it was changed"):
        read(path)
    write(path, ITEMS)
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept[1:]))
    with pytest.raises(BadInput, match="it was changed"):
        read(path)


@pytest.mark.parametrize(
    ("plain", "what"),
    [
        ('{"method": "GET"}', "line 1 has no route"),
        ('{"route": "GET /", "method": "GET", "path": "/", "headers": {}, "source": "x"}', "unknown source 'x'"),
        ('{"route": "GET /", "method": "GET", "path": "/", "headers": {}, "source": "har", "b": 1}', "unknown key b"),
        (
            '{"route": "GET /", "method": "GET", "path": "/", "headers": {}, "source": "har", "body": 7}',
            "neither text nor base64",
        ),
        ("[]", "line 1 is no JSON object"),
    ],
)
def test_a_line_that_nobody_writes_is_named(tmp_path: Path, plain: str, what: str) -> None:
    import hashlib

    path = tmp_path / "corpus.jsonl"
    line = f"{plain}\n"
    digest = hashlib.sha256(line.encode()).hexdigest()
    path.write_text(f'{line}{{"requests": 1, "sha256": "{digest}"}}\n', "utf-8")
    with pytest.raises(BadInput, match=re.escape(what)):
        read(path)


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="towpath corpus"):
        read(tmp_path / "none.jsonl")
