"""Differences between two answers, and the rules that let parts of them differ."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from towpath.parity.diff import changes, kind, sort, without_noise
from towpath.parity.forms import Forms, Rule
from towpath.parity.paths import Pattern, at, shown

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
BODIES = TREES.map(lambda tree: {"status": 200, "headers": {}, "body": tree})


def text(tree: Any) -> str:
    """What JSON would write: the comparison's own meaning of equal."""
    return json.dumps(tree, sort_keys=True)


@given(TREES, TREES)
def test_there_is_a_difference_if_and_only_if_json_would_write_them_otherwise(one: Any, other: Any) -> None:
    assert (not list(changes(one, other))) == (text(one) == text(other))
    assert list(changes(one, copy.deepcopy(one))) == []


@given(TREES, TREES)
def test_a_difference_names_its_place_and_both_values(one: Any, other: Any) -> None:
    for change in changes(one, other):
        assert at(one, change.path) is change.before
        assert at(other, change.path) is change.after


@given(BODIES, BODIES)
def test_every_place_of_a_body_can_be_written_and_read_again(one: Any, other: Any) -> None:
    for change in changes(one, other):
        pattern = Pattern.of(shown(change.path))
        assert pattern.matches(change.path)
        assert pattern.places(one) == ([change.path] if kind(change.before) != "missing" else [])


@given(TREES, TREES)
def test_equal_old_answers_hide_nothing(old: Any, new: Any) -> None:
    differences, noise = without_noise(old, copy.deepcopy(old), new)
    assert noise == []
    assert (not differences) == (text(old) == text(new))


@given(TREES, TREES, TREES)
def test_noise_hides_only_what_the_old_answers_give_differently(first: Any, second: Any, new: Any) -> None:
    differences, noise = without_noise(first, second, new)
    noisy = {change.path: {sort(change.before), sort(change.after)} for change in noise}
    every = {change.path: change for change in changes(first, new)}
    for path in every.keys() - {change.path for change in differences}:
        heads = [path[:length] for length in range(len(path) + 1)]
        there = [(at(new, head), noisy[head]) for head in heads if head in noisy]
        as_broad = {"integer": "number", "time": "text", "id": "text"}
        assert any(sort(one) in many or as_broad.get(sort(one).rstrip("-+ TZ")) in many for one, many in there)
    assert {change.path for change in differences} <= every.keys()


@given(TREES, st.data())
def test_an_answer_that_is_one_of_the_two_old_ones_does_not_differ(first: Any, data: st.DataObject) -> None:
    second = data.draw(TREES)
    assert without_noise(first, second, second)[0] == []
    assert without_noise(first, second, first)[0] == []


@given(st.lists(TREES, max_size=6), st.randoms())
def test_any_order_is_any_order_and_nothing_else(items: list[Any], chance: Any) -> None:
    forms = Forms([Rule.of("*", "$", "any order", "r")], "GET /")
    mixed = chance.sample(items, len(items))
    assert list(changes(forms.applied({"body": items}), forms.applied({"body": mixed}))) == []
    assert list(changes(forms.applied({"body": items}), forms.applied({"body": [*mixed, "one more"]})))


@given(TREES, TREES, st.text(min_size=1, max_size=3))
def test_a_rule_leaves_every_other_place_as_it_is(tree: Any, other: Any, name: str) -> None:
    assume(not isinstance(tree, dict) or name not in tree)
    rules = [Rule.of("*", f"$[{json.dumps(name)}]", form, "r") for form in ("ignored", "seconds", "number", "address")]
    forms = Forms(rules, "GET /")
    assert text(forms.applied({"body": tree})) == text({"body": tree})
    assert forms.used == set()
    wrapped = {"body": {name: other}}
    before = text(wrapped)
    assert forms.applied(wrapped) == {"body": {}}
    assert text(wrapped) == before, "the answer itself is not changed"
    assert forms.used == set(rules[:1]), "what is not there any more meets no other rule"


@given(st.datetimes(), st.integers(0, 999_999))
def test_the_same_moment_is_the_same_however_it_is_written(moment: Any, micro: int) -> None:
    forms = Forms([Rule.of("*", "$.at", "seconds", "r")], "GET /")
    exact = moment.replace(microsecond=micro)
    cut = exact.replace(microsecond=micro // 1000 * 1000)
    written = [exact.isoformat(), f"{cut.isoformat(timespec='milliseconds')}Z", f"{exact.isoformat()}+00:00"]
    seen = {text(forms.applied({"body": {"at": one}})) for one in written}
    assert len(seen) == 1
    assert "s" in seen.pop()


@given(st.integers(-1000, 1000), st.floats(0, 10), st.floats(-20, 20))
def test_numbers_may_be_as_far_apart_as_the_rule_says(number: int, allowed: float, apart: float) -> None:
    rule = Rule.of("*", "$[*].n", f"number {allowed:.3f}", "r")
    forms = Forms([rule], "GET /")
    one, other = {"body": [{"n": number}]}, {"body": [{"n": number + apart}]}
    near = abs(number - (number + apart)) <= rule.amount
    assert (not list(changes(forms.applied(one), forms.applied(other), forms.same))) == near
