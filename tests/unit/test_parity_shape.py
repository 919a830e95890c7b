"""Whether two answers are of one shape: what users have written since does not count, what their pages need does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath.parity.paths import BODY, HEADERS, STATUS
from towpath.parity.shape import TYPE, typed, unlike


def tree(body: Any, status: int = 200, kind: str = "application/json; charset=utf-8") -> dict[str, Any]:
    return typed({STATUS: status, HEADERS: {TYPE: kind} if kind else {}, BODY: body})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1, "b": "x"}, {"b": "y", "a": 2.5}),
        ([], [{"a": 1}]),
        ([{"a": 1}], []),
        ([{"a": 1}], [{"a": 2}, {"a": 3}, {"a": 4}]),
        ([{"a": 1}, {"a": 1, "note": "x"}], [{"a": 1}]),  # a name that only some items have
        ([{"a": 1}], [{"a": 1}, {"a": 1, "note": "x"}]),
        ({"a": None}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": None}),
        ([1, "x", None], ["y"]),
        (b"<p>one", b"<p>two"),
        (None, []),
    ],
)
def test_other_contents_are_of_the_same_shape(old: Any, new: Any) -> None:
    assert unlike([tree(old)], tree(new)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a": 1}, {"a": "1"}, ["$.a number and text"]),
        ({"a": True}, {"a": 1}, ["$.a boolean and number"]),
        ({"a": 1}, {"b": 1}, ["$.a only old", "$.b only new"]),
        ({"a": [{"b c": 1}]}, {"a": [{"b c": [1]}, {"b c": [2]}]}, ['$.a[*]["b c"] number and list']),
        ([{"a": 1}, {"a": 2}], [{"b": 1, "a": 1}], ["$[*].b only new"]),
        ({"items": []}, [], ["$ object and list"]),
        ([[1], [2]], [["x"]], ["$[*][*] number and text"]),
        ({}, b"<html>", ["$ object and bytes"]),
    ],
)
def test_another_shape_is_told_by_its_place_without_values(old: Any, new: Any, told: list[str]) -> None:
    assert unlike([tree(old)], tree(new)) == told


def test_what_the_old_side_gives_now_so_and_now_so_is_noise() -> None:
    olds = [tree({"a": 1, "b": 1}), tree({"a": "x"})]
    assert unlike(olds, tree({"a": "y"})) == []
    assert unlike(olds, tree({"a": 2, "b": 3})) == []
    assert unlike(olds, tree({"a": [2]})) == ["$.a number or text and list"]
    assert unlike([tree({}, 200), tree({}, 429)], tree([], 429)) == ["$ object and list"]


def test_status_and_type_come_before_everything_else() -> None:
    assert unlike([tree({}), tree({})], tree(b"", 500, "")) == ["200 and 500"]
    assert unlike([tree({}), tree({}, 404)], tree([], 500)) == ["200 or 404 and 500"]
    assert unlike([tree(b"", 0, "")], tree(b"", 0, "")) == ["no answer and no answer"]
    assert unlike([tree(b"x", kind="text/html")], tree(b"x", kind="text/plain;charset=utf-8")) == [
        "text/html and text/plain"
    ]
    assert unlike([tree(b"x", kind="text/html")], tree(b"x", kind="")) == ["text/html and no type"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (tree(1), tree(1, kind="application/problem+json")),
        (tree(b"x", kind="Text/HTML"), tree(b"x", kind="text/html; charset=utf-8")),
        (tree(b"", 307, ""), tree(b"", 307, "text/plain")),  # nothing is of no type
    ],
)
def test_types_that_say_the_same_are_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert unlike([old], new) == []


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


@given(JSON, JSON)
def test_an_answer_is_like_itself_and_nothing_is_changed_by_looking(old: Any, new: Any) -> None:
    olds, found = [tree(old), tree(new)], tree(new)
    before = copy.deepcopy((olds, found))
    assert unlike(olds, found) == [] == unlike([tree(new)], found)
    assert (olds, found) == before
