"""The forms of values in KV, exactly as docs/keys.md says."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.errors import BadInput
from towpath.keys.values import decode, encode, score

FORMS: list[tuple[str, Any, bytes, dict[str, str]]] = [
    ("string", b"", b"", {"type": "string"}),
    ("string", "naïve".encode(), "naïve".encode(), {"type": "string"}),
    ("string", b"\xff\x00", b"\xff\x00", {"type": "string", "encoding": "binary"}),
    ("hash", {b"b": b"2", b"a": b"1"}, b'{"a":"1","b":"2"}', {"type": "hash"}),
    ("hash", {b"a": b"\xff"}, b'{"a":{"base64":"/w=="}}', {"type": "hash", "encoding": "base64"}),
    (
        "hash",
        {b"\xff": b"1", b"a": b"2"},
        b'[["a","2"],[{"base64":"/w=="},"1"]]',
        {"type": "hash", "encoding": "base64"},
    ),
    ("list", [b"b", b"a", b"b"], b'["b","a","b"]', {"type": "list"}),
    ("set", {b"b", b"a", b"B"}, b'["B","a","b"]', {"type": "set"}),
    ("set", {b"\xff", "é".encode()}, b'["\xc3\xa9",{"base64":"/w=="}]', {"type": "set", "encoding": "base64"}),
    ("zset", [(b"x", 1.0), (b"y", float("inf"))], b'[["x","1"],["y","inf"]]', {"type": "zset"}),
    (
        "stream",
        [(b"1-0", [(b"a", b"1"), (b"a", b"2")])],
        b'[["1-0",[["a","1"],["a","2"]]]]',
        {"type": "stream"},
    ),
    ("stream", [], b"[]", {"type": "stream"}),
]


@pytest.mark.parametrize(("type", "value", "form", "metadata"), FORMS)
def test_a_value_has_one_form(type: str, value: Any, form: bytes, metadata: dict[str, str]) -> None:
    made = encode(type, value)
    assert (made.value, made.metadata) == (form, metadata)
    assert decode(type, form) == value


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (-0.0, "-0"), (1.0, "1"), (0.1 + 0.2, "0.30000000000000004"), (1e21, "1e+21"), (1e16, "1e+16"),
     (5e-324, "5e-324"), (float("-inf"), "-inf"), (123456789.0, "123456789")],
)  # fmt: skip
def test_a_score_is_the_shortest_text_of_its_double(number: float, text: str) -> None:
    assert score(number) == text
    assert float(text) == number


@pytest.mark.parametrize(
    ("type", "text"),
    [
        ("list", b"{"),
        ("list", b'[{"base32": "x"}]'),
        ("hash", b"7"),
        ("zset", b'[["a"]]'),
        ("set", b"[1]"),
        ("stream", b'[["1-0"]]'),
        ("list", b'"abc"'),  # what a loop goes through is not a list
        ("list", b'{"a":1,"b":2}'),
        ("set", b'"abc"'),
        ("hash", b'["ab","cd"]'),
        ("zset", b'{"a1":"x"}'),
        ("zset", b'["a1"]'),
        ("zset", b'[["a",true]]'),
        ("stream", b"{}"),
    ],
)
def test_what_is_no_form_is_told(type: str, text: bytes) -> None:
    with pytest.raises(BadInput, match=r"docs/keys\.md"):
        decode(type, text)


def test_a_byte_order_mark_before_json_says_nothing() -> None:
    assert decode("list", b'\xef\xbb\xbf["a"]') == [b"a"]
    assert decode("string", b"\xef\xbb\xbfa") == b"\xef\xbb\xbfa"
