"""The same requests to two real small sides: what is the same, what differs, what is noise, what was not asked."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from helpers.fires import fires, not_passed
from helpers.small_side import Asked, Reply, as_json, small_side

from towpath.checks import Check, Decision, Finding, Verdict, Waiver, judge
from towpath.errors import BadInput, CannotFinish
from towpath.parity import findings, load, replay, telling
from towpath.parity.answers import Side, tree_of
from towpath.parity.forms import Rule
from towpath.parity.naming import renamed
from towpath.parity.replay import Exercised, Outcome, Replay, Standing, by_route
from towpath.parity.rows import Logged, net
from towpath.parity.rules import RULES
from towpath.parity.speed import Times, measure, rounds_for
from towpath.routes.corpus import Recorded
from towpath.routes.filling import Login
from towpath.secrets import scrub
from towpath.sensitive import Sensitive

JSON = {"content-type": "application/json"}
HEADERS = ("content-type", "location")
Ask = Callable[..., list[Exercised]]


def asked(path: str = "/a", method: str = "GET", body: bytes = b"", expects: int = 0, **headers: str) -> Recorded:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Recorded(f"{method} {path}", method, path, named, body, "hand", expects=expects)


def always(reply: Reply | None) -> Asked:
    return lambda *_: reply


@pytest.fixture
def ask() -> Iterator[Ask]:
    """Serve both sides, send requests, and give what came of them."""
    with ExitStack() as stack:

        def run(
            old: Asked, new: Asked, *requests: Recorded, rules: Iterable[Rule] = (), values: Mapping[str, str] = {}
        ) -> list[Exercised]:
            sides = [
                stack.enter_context(Side(name, stack.enter_context(small_side(one))))
                for name, one in (("old", old), ("new", new))
            ]
            first, second = (Standing(side, values) for side in sides)
            return Replay(HEADERS, list(rules)).run(requests or [asked()], first, second)

        yield run


def judged(exercised: Iterable[Exercised], routes: Iterable[str] = ()) -> list[Check]:
    found = list(findings.of_routes(by_route(exercised, routes)))
    return judge(found, RULES, [], [], dt.date(2026, 1, 1)).checks


def places(one: Exercised) -> list[tuple[str, str, str, str]]:
    found = telling.differences([one])
    return [(each.column, each.kind, each.expected, each.found) for each in found]


def test_equal_answers_are_the_same_whatever_the_order_of_keys(ask: Ask) -> None:
    [one] = ask(always(as_json({"a": 1, "b": [1, 2]})), always(as_json({"b": [1, 2], "a": 1})))
    assert (one.outcome, one.differences, one.noise) == (Outcome.SAME, (), ())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (as_json({"a": 1}), as_json({"a": 2}), ("$.a", "changed", "1", "2")),
        (as_json({"a": 1}), as_json({"a": 1.0}), ("$.a", "changed", "1", "1.0")),
        (as_json({"a": 1}), as_json({"a": True}), ("$.a", "changed", "1", "true")),
        (as_json({"a": None}), as_json({}), ("$.a", "missing", "null", "(nothing)")),
        (as_json([1]), as_json([1, {"b c": 2}]), ("$[1]", "extra", "(nothing)", '{"b c": 2}')),
        (as_json([{"b c": 1}]), as_json([{"b c": 2}]), ('$[0]["b c"]', "changed", "1", "2")),
        (as_json({}, 200), as_json({}, 404), ("status", "changed", "200", "404")),
        (as_json(1, location="/x"), as_json(1, location="/y"), ("header location", "changed", '"/x"', '"/y"')),
        (as_json(1, location="/x"), as_json(1), ("header location", "missing", '"/x"', "(nothing)")),
        (
            (200, JSON, b'{"a": 9007199254740993}'),
            as_json({"a": 9007199254740992}),
            ("$.a", "changed", "9007199254740993", "9007199254740992"),
        ),
    ],
)
def test_one_difference_is_told_by_its_place_with_both_values(ask: Ask, old: Reply, new: Reply, told: Any) -> None:
    [one] = ask(always(old), always(new))
    assert one.outcome is Outcome.DIFFERS
    assert places(one) == [told]


def test_bytes_are_told_by_digest_and_the_first_that_differs(ask: Ask) -> None:
    [one] = ask(always((200, {}, b"abcdef")), always((200, {}, b"abXdef")))
    [(where, _, expected, found)] = places(one)
    assert where == "$ from byte 2 on"
    assert expected.startswith("6 bytes, sha256 bef57ec7f53a6d40")
    assert expected != found


def test_what_says_that_it_is_json_and_is_not_is_compared_by_its_bytes(ask: Ask) -> None:
    for body in (b"{", b'{"a": 1, "a": 2}', b"NaN", b"\xff"):
        [one] = ask(always((200, JSON, body)), always((200, JSON, body)))
        assert one.outcome is Outcome.SAME
        assert tree_of(one.answers[0])["body"] == body


def test_a_redirect_is_compared_and_not_followed(ask: Ask) -> None:
    seen: list[str] = []

    def moved(_: str, path: str, *__: Any) -> Reply:
        seen.append(path)
        return 302, {"Location": "/elsewhere"}, b""

    [one] = ask(moved, moved)
    assert one.outcome is Outcome.SAME
    assert seen == ["/a"] * 3


def test_the_old_side_is_asked_before_and_after_the_new_one(ask: Ask) -> None:
    order: list[str] = []

    def noting(name: str) -> Asked:
        def answer(_: str, path: str, *__: Any) -> Reply:
            order.append(f"{name} {path}")
            return as_json(1)

        return answer

    ask(noting("old"), noting("new"), asked("/a"), asked("/b"))
    assert order == ["old /a", "new /a", "old /a", "old /b", "new /b", "old /b"]


def test_no_cookie_of_one_answer_goes_with_the_next_request(ask: Ask) -> None:
    cookies: list[str] = []

    def baking(_: str, __: str, headers: Mapping[str, str], ___: bytes) -> Reply:
        cookies.append(headers.get("cookie", ""))
        return as_json(1, Set_Cookie="session=1; Path=/")

    ask(baking, baking, asked(), asked(cookie="mine=1"))
    assert cookies == ["", "", "", "mine=1", "mine=1", "mine=1"]


def test_noise_is_shown_and_not_compared(ask: Ask) -> None:
    count = itertools.count()
    [one] = ask(lambda *_: as_json({"n": next(count), "a": 1}), always(as_json({"n": 99, "a": 1})))
    assert one.outcome is Outcome.NOISE
    assert [(d.column, d.expected, d.found) for d in telling.differences([one], noise=True)] == [("$.n", "0", "1")]


@pytest.mark.parametrize("new", [{"n": None, "a": 1}, {"a": 1}, {"n": "7", "a": 1}, {"n": 7, "a": 2}])
def test_noise_hides_no_other_sort_of_value_and_no_other_place(ask: Ask, new: Any) -> None:
    count = itertools.count()
    [one] = ask(lambda *_: as_json({"n": next(count), "a": 1}), always(as_json(new)))
    assert one.outcome is Outcome.DIFFERS
    assert len(one.differences) == 1


TIMES = ("2026-11-20 08:15:00.1", "2026-11-20 08:15:00.2")
NAMES = ("6f1f1c4e-0d3c-4f0e-9d52-7a1b2c3d4e5f", "00000000-0000-4000-8000-000000000001")


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        (TIMES, "2026-11-20 08:15:00", Outcome.NOISE),
        (TIMES, "2026-11-20T08:15:00", Outcome.DIFFERS),
        (TIMES, "2026-11-20 08:15:00Z", Outcome.DIFFERS),
        (TIMES, "soon", Outcome.DIFFERS),
        ([f"{time}+00:00" for time in TIMES], "2026-11-20 08:15:00+01:00", Outcome.NOISE),
        (NAMES, "11111111-1111-4111-8111-111111111111", Outcome.NOISE),
        (NAMES, "1" * 32, Outcome.DIFFERS),
        ([name.replace("-", "") for name in NAMES], "1" * 32, Outcome.NOISE),
        ([1, 2], 3.5, Outcome.DIFFERS),
        ([1.5, 2.5], 3, Outcome.NOISE),
        (["a", None], "2026-11-20", Outcome.NOISE),
    ],
)
def test_noise_is_of_the_same_sort(ask: Ask, old: Any, new: Any, outcome: Outcome) -> None:
    answers = iter(old)
    [one] = ask(lambda *_: as_json({"a": next(answers)}), always(as_json({"a": new})))
    assert one.outcome is outcome


def test_an_old_side_that_answers_now_so_now_so_is_no_example(ask: Ask) -> None:
    statuses = itertools.cycle((200, 404))
    [one] = ask(lambda *_: as_json(1, next(statuses)), always(as_json(1, 500)))
    assert (one.outcome, one.why) == (Outcome.NOT_EXERCISED, "the old side answers 200 and 404")


def test_numbers_beyond_every_double_are_not_all_the_same(ask: Ask) -> None:
    for old, new in ((b"1e400", b"1e500"), (b"-1e400", b"1e400"), (b"1" * 5000, b"2" * 5000)):
        [one] = ask(always((200, JSON, old)), always((200, JSON, new)))
        assert one.outcome is Outcome.DIFFERS


def test_what_no_file_can_hold_is_told_all_the_same(ask: Ask) -> None:
    old, new = ((200, JSON, json.dumps(text).encode()) for text in ("\ud800", "\udfff"))
    [one] = ask(always(old), always(new))
    [told] = telling.differences([one])
    assert (told.expected.encode(), told.found.encode()) == (b'"\\ud800"', b'"\\udfff"')


@pytest.mark.parametrize(
    ("path", "form", "old", "new"),
    [
        ("$[*]", "ignored", [1, 2], [1]),
        ("$[1]", "ignored", [1, 2], [1]),
        ("$.a", "ignored", {"a": 1}, {"a": "x"}),
        ("$.a", "ignored", {"a": 1}, {}),
        ("$[*].a", "ignored", [{"a": 1}], [{"a": 2}]),
        ("$", "any order", [1, 2, {"a": 3}], [{"a": 3}, 2, 1]),
        ("$.*.at", "seconds", {"x": {"at": "2026-01-01T00:00:00.5Z"}}, {"x": {"at": "2026-01-01T01:00:00+01:00"}}),
        ("$.at", "seconds 60", {"at": "2026-01-01T00:00:59"}, {"at": "2026-01-01T00:00:01Z"}),
        ("$.n", "number", {"n": 1}, {"n": 1.0}),
        ("$.n", "number 0.01", {"n": 0.1}, {"n": 0.105}),
        ("$.url", "address", {"url": "https://old.example/x?y#z"}, {"url": "http://127.0.0.1:8787/x?y#z"}),
        ('$["a b"][1]', "ignored", {"a b": [1, 2]}, {"a b": [1, 3]}),
    ],
)
def test_a_rule_lets_what_it_names_differ(ask: Ask, path: str, form: str, old: Any, new: Any) -> None:
    rule = Rule.of("GET /a*", path, form, "because")
    [without] = ask(always(as_json(old)), always(as_json(new)))
    [with_it] = ask(always(as_json(old)), always(as_json(new)), rules=[rule])
    assert (without.outcome, with_it.outcome) == (Outcome.DIFFERS, Outcome.SAME)
    [elsewhere] = ask(always(as_json(old)), always(as_json(new)), rules=[Rule.of("POST /a", path, form, "because")])
    assert elsewhere.outcome is Outcome.DIFFERS


def test_a_header_can_be_left_out_by_a_rule(ask: Ask) -> None:
    rule = Rule.of("*", "header location", "address", "each side names itself")
    [one] = ask(always(as_json(1, location="http://old/x")), always(as_json(1, location="http://new/x")), rules=[rule])
    assert one.outcome is Outcome.SAME


@pytest.mark.parametrize("path", ["a.b", "$a", "$.", "$[x]", "header", "rows tasks", "$.a b"])
def test_a_path_that_names_no_place_is_refused(path: str) -> None:
    with pytest.raises(Exception, match="names no place"):
        Rule.of("*", path, "ignored", "because")


@pytest.mark.parametrize("form", ["", "ignore", "ignored 3", "number -1", "seconds 0.5", "any order 2"])
def test_a_form_that_there_is_not_is_refused(form: str) -> None:
    with pytest.raises(Exception, match=r"no such form|cannot be cut"):
        Rule.of("*", "$", form, "because")


def test_a_token_is_fetched_and_masked_from_then_on() -> None:
    login, values = (
        Login("POST /login", {"user": "ada", "password": "env:X"}, "$.access.token"),
        {
            "login:me.user": "ada",
            "login:me.password": "p",
        },
    )
    bodies: list[bytes] = []

    def answer(_: str, __: str, ___: Any, body: bytes) -> Reply:
        bodies.append(body)
        return as_json({"access": {"token": "secret-of-the-side"}})

    with small_side(answer) as url, Side("old", url) as side:
        assert side.token("me", login, values) == "secret-of-the-side"
        assert json.loads(bodies[0]) == {"user": "ada", "password": "p"}
        assert "secret-of-the-side" not in scrub("it says secret-of-the-side")
        with pytest.raises(BadInput, match=r"no token at \$\.token"):
            side.token("me", replace(login, at="$.token"), values)
    refusing = always(as_json({"token": "x"}, 401))
    with small_side(refusing) as url, Side("old", url) as side, pytest.raises(BadInput, match="status 401"):
        side.token("me", login, values)


def test_what_is_made_up_is_new_for_each_request_and_the_same_for_each_side(ask: Ask) -> None:
    paths: list[str] = []

    def noting(_: str, path: str, *__: Any) -> Reply:
        paths.append(path)
        return as_json(1)

    ask(noting, noting, asked("/{new:a}/{new:b}"), asked("/{new:a}"))
    assert paths == [paths[0]] * 3 + [paths[3]] * 3
    made = {*paths[0].split("/")[1:], *paths[3].split("/")[1:]}
    assert len(made) == 3


@pytest.mark.parametrize(
    ("route", "path", "target", "method", "becomes"),
    [
        ("GET /a/{id}", "/a/7?x=1", "GET /v2/a/{id}", "GET", "/v2/a/7?x=1"),
        ("GET /a/{id}/b/{n}", "/a/7/b/8%2F9", "POST /b/{n}/a/{id}", "POST", "/b/8%2F9/a/7"),
        ("GET /a/{task_id}", "/a/7", "GET /a/{id}/", "GET", "/a/7/"),
        ("GET /files/{rest:path}", "/files/a/b.txt", "GET /f/{rest:path}", "GET", "/f/a/b.txt"),
        ("GET /a.b", "/a.b", "GET /c", "GET", "/c"),
        ("GET /a", "/a", "", "GET", "/a"),
    ],
)
def test_each_side_is_asked_by_its_own_names(route: str, path: str, target: str, method: str, becomes: str) -> None:
    found = renamed(Recorded(route, "GET", path, {}, b"", "hand"), target)
    assert (found.route, found.method, found.path) == (route, method, becomes)


def test_a_path_that_is_not_of_its_route_is_refused() -> None:
    with pytest.raises(BadInput, match="do not fit"):
        renamed(Recorded("GET /a/{id}", "GET", "/b/7", {}, b"", "hand"), "GET /c/{id}")


def test_a_side_that_is_not_there_is_an_error_and_no_difference() -> None:
    with small_side(always(as_json(1))) as url:
        pass
    with Side("new", url) as side, pytest.raises(CannotFinish, match="the new side gives no answer"):
        side.prove()


@pytest.mark.parametrize(
    ("old", "request_", "why"),
    [
        (as_json(1), asked("/{id:task}"), "nothing is known for id:task"),
        (as_json(1, 500), asked(), "the old side answers 500"),
        (as_json(1, 401), asked(expects=200), "the old side answers 401, and 200 is expected"),
        (None, asked(), "the old side gives no answer: RemoteProtocolError"),
    ],
)
def test_what_the_old_side_gives_no_example_of_is_not_exercised(
    ask: Ask, old: Reply | None, request_: Recorded, why: str
) -> None:
    [one] = ask(always(old), always(old or as_json(1)), request_)
    assert (one.outcome, one.why) == (Outcome.NOT_EXERCISED, why)


def test_an_error_that_is_expected_is_compared(ask: Ask) -> None:
    [same, other] = ask(
        always(as_json(1, 500)),
        lambda _, path, *__: as_json(1, 500 if path == "/a" else 200),
        asked("/a", expects=500),
        asked("/b", expects=500),
    )
    assert (same.outcome, other.outcome) == (Outcome.SAME, Outcome.DIFFERS)


def test_a_new_side_that_gives_no_answer_differs(ask: Ask) -> None:
    [one] = ask(always(as_json(1)), always(None))
    assert one.outcome is Outcome.DIFFERS
    assert ("status", "changed", "200", "0") in places(one)


def test_what_nobody_shall_read_is_shown_as_a_digest(ask: Ask) -> None:
    old = {"user": {"email": "ada@example.org", "password": "p1"}, "who": "ada@example.org"}
    new = {"user": {"email": "eve@example.org", "password": "p2"}, "who": "ada@example.org", "more": old}
    [one] = ask(always(as_json(old)), always(as_json(new)))
    told = json.dumps([[d.expected, d.found] for d in telling.differences([one], Sensitive(("users.email",)))])
    assert "sha256:" in told
    assert not any(word in told for word in ("eve@", "p1", "p2"))
    assert told.count("ada@") == 1, "under a name that is not sensitive it is shown"


def test_what_lies_below_a_secret_is_one(ask: Ask) -> None:
    old, new = ({"token": {"raw": f"r{n}"}, "jwt": f"j{n}", "session": {"minutes": n}} for n in (1, 2))
    [one] = ask(always(as_json(old)), always(as_json(new)))
    told = {d.column: d.found for d in telling.differences([one])}
    assert told["$.session.minutes"] == "2"
    assert not any("2" in found for found in told.values() if not found.startswith('"sha256:') and found != "2")


# -- rows


def logged(*changes: tuple[str, int, str]) -> dict[str, Any]:
    return net(Logged("t", what, ("id",), {"id": id, "a": a}) for what, id, a in changes)


@pytest.mark.parametrize(
    ("changes", "comes_to"),
    [
        ([("inserted", 1, "x")], {"inserted": [{"id": 1, "a": "x"}]}),
        ([("inserted", 1, "x"), ("updated", 1, "y")], {"inserted": [{"id": 1, "a": "y"}]}),
        ([("updated", 1, "x"), ("updated", 1, "y")], {"updated": [{"id": 1, "a": "y"}]}),
        ([("updated", 1, "x"), ("deleted", 1, "x")], {"deleted": [{"id": 1, "a": "x"}]}),
        ([("deleted", 1, "x"), ("inserted", 1, "y")], {"updated": [{"id": 1, "a": "y"}]}),
        ([("inserted", 1, "x"), ("deleted", 1, "x")], None),
        ([("inserted", 9, "b"), ("inserted", 1, "c")], {"inserted": [{"id": 9, "a": "b"}, {"id": 1, "a": "c"}]}),
        ([("inserted", 9, "c"), ("inserted", 1, "b")], {"inserted": [{"id": 1, "a": "b"}, {"id": 9, "a": "c"}]}),
    ],
)
def test_changes_of_a_row_are_told_as_what_they_come_to(changes: Any, comes_to: Any) -> None:
    assert logged(*changes) == ({"t": comes_to} if comes_to else {})


def test_a_row_that_is_in_the_end_what_it_was_is_no_change() -> None:
    def change(what: str, now: Any, was: Any = None) -> Logged:
        return Logged("t", what, ("id",), {"id": 1, "a": now}, {"id": 1, "a": was})

    assert net([change("updated", "x", "x")]) == {}
    assert net([change("updated", "y", "x"), change("updated", "x", "y")]) == {}
    assert net([change("deleted", "x"), change("inserted", "x")]) == {}
    assert net([change("updated", 1.0, 1)]) == {"t": {"updated": [{"id": 1, "a": 1.0}]}}


def test_rows_without_a_key_are_told_one_by_one() -> None:
    same = [Logged("u", "deleted", (), {"n": 1})] * 2
    assert net(same) == {"u": {"deleted": [{"n": 1}, {"n": 1}]}}


def written(*rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A watch for each side: what one write inserted there."""
    return iter([{"tasks": {"inserted": [row]}} for row in rows])


def test_rows_are_compared_and_what_a_side_makes_up_is_noise() -> None:
    stamped = written(*({"id": n, "title": "x", "done": 0} for n in range(3)))
    exercised = _write(stamped)
    assert exercised.outcome is Outcome.NOISE
    assert [telling.told(exercised, one).column for one in exercised.noise] == ["rows tasks.inserted[0].id"]


def _write(rows: Iterator[dict[str, Any]], rules: Iterable[Rule] = ()) -> Exercised:
    """One write, to three copies that changed these rows: old, new, old."""
    with small_side(always(as_json({}, 201))) as url, Side("any", url) as side:
        sides = [Standing(side, {}, watch=lambda one=one: one) for one in rows]
        [one] = Replay((), list(rules)).run([asked("/tasks", "POST")], *sides)
    return one


def test_a_rule_for_a_column_lets_its_cells_differ() -> None:
    rows = [{"id": 1, "title": "x"}, {"id": 1, "title": "X"}, {"id": 1, "title": "x"}]
    assert _write(written(*rows)).outcome is Outcome.DIFFERS
    assert _write(written(*rows), [Rule.of("*", "rows *.title", "ignored", "because")]).outcome is Outcome.SAME


# -- each code


@fires("PA101")
def test_an_answer_that_differs_fires(ask: Ask) -> set[str]:
    checks = judged(ask(always(as_json(1)), always(as_json(2))))
    assert checks[0].found == "1 of 1 requests: $"
    assert checks[0].keys == ("GET /a",)
    return not_passed(checks)


@fires("PA102")
def test_rows_that_differ_fire() -> set[str]:
    rows = [{"id": 1, "title": "x"}, {"id": 1, "title": "X"}, {"id": 1, "title": "x"}]
    return not_passed(judged([_write(written(*rows))]))


@fires("PA103")
def test_a_route_without_a_request_fires(ask: Ask) -> set[str]:
    checks = judged(ask(always(as_json(1)), always(as_json(1))), ["GET /a", "GET /b"])
    assert [(check.object, check.count) for check in checks] == [("GET /b", 1)]
    return not_passed(checks)


@fires("PA104")
def test_noise_is_reported(ask: Ask) -> set[str]:
    count = itertools.count()
    checks = judged(ask(lambda *_: as_json(next(count)), always(as_json(7))))
    assert not_passed(checks) == set(), "it is a note"
    return {check.code for check in checks}


@fires("PA105")
def test_a_rule_that_met_nothing_is_named() -> set[str]:
    rules = [Rule.of("GET /*", "$.a", "ignored", "because"), Rule.of("GET /*", "$.b", "seconds 60", "because")]
    with small_side(always(as_json({"a": 1}))) as url, Side("any", url) as side:
        run = Replay((), rules)
        run.run([asked()], Standing(side, {}), Standing(side, {}))
    [found] = findings.of_rules(rules, run.met)
    assert found.object == "GET /* $.b seconds 60"
    return not_passed(judge([found], RULES, [], [], dt.date(2026, 1, 1)).checks)


def loaded(p95: float, errors: int) -> load.Load:
    total = load.Loaded("", 1000, errors, 10.0, p95, 900.0)
    return load.Load(10, 30, total, (load.Loaded("GET /a", 1000, errors, 10.0, p95, 900.0),))


BUDGET: dict[str, float] = {"p95": 500, "errors": 1.0, "target_p95": 200, "target_errors": 0.1}


@fires("PA107", "PA108")
@pytest.mark.parametrize(("p95", "errors"), [(501, 0), (100, 11)])
def test_a_load_that_is_not_borne_fires(p95: float, errors: int) -> set[str]:
    checks = findings.of_load(loaded(p95, errors), **BUDGET)
    assert checks[0].keys == (f"GET /a: p95 {p95} ms, {errors} errors",)
    return not_passed(checks)


@fires("PA108")
@pytest.mark.parametrize(("p95", "errors"), [(201, 0), (100, 2)])
def test_a_missed_target_warns(p95: float, errors: int) -> set[str]:
    return not_passed(findings.of_load(loaded(p95, errors), **BUDGET))


def test_a_load_within_budget_and_target_passes() -> None:
    assert not_passed(findings.of_load(loaded(200, 1), **BUDGET)) == set()


def test_no_request_at_all_is_no_pass() -> None:
    assert not_passed([findings.answered([])]) == {"PA101"}
    left = replay.not_exercised([asked()], "writes are not sent here")
    assert not_passed([findings.answered(by_route(left))]) == {"PA101"}


# -- latency


def test_both_sides_are_measured_in_turn_and_the_first_round_is_left_out() -> None:
    order: list[str] = []

    def noting(name: str) -> Asked:
        return lambda *_: order.append(name) or as_json(1)

    with small_side(noting("o")) as one, small_side(noting("n")) as two, Side("old", one) as a, Side("new", two) as b:
        old, new = measure([asked(), asked("/b")], Standing(a, {}), Standing(b, {}), samples=4)
    assert "".join(order) == "onno" * 3
    assert (len(old.milliseconds), len(new.milliseconds)) == (4, 4)
    assert list(old.milliseconds) == sorted(old.milliseconds)


def test_percentiles_are_by_nearest_rank() -> None:
    times = Times("old", tuple(float(n) for n in range(1, 101)))
    assert [times.at(percent) for percent in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert [Times("old", (7.0,)).at(percent) for percent in (0, 50, 99)] == [7, 7, 7]
    assert [rounds_for(n, 200) for n in (1, 3, 200, 201, 0)] == [200, 67, 1, 1, 200]


@fires("PA106")
def test_two_sides_that_were_not_asked_fire() -> set[str]:
    found = findings.not_asked("Parity was not exercised: the params name no source_url.")
    checks = judge(found, RULES, [], [], dt.date(2026, 1, 1)).checks
    assert checks[0].undecided
    return not_passed(checks)


@pytest.mark.parametrize("code", ["PA101", "PA102", "PA103", "PA106"])
def test_what_differs_is_accepted_by_a_decision_and_a_waiver_of_its_count(code: str) -> None:
    found = [Finding(code, "GET /a", 2, "2 of 2 requests: $")]
    decision = Decision(code, "GET /*", "accept", "nobody calls it")
    today = dt.date(2026, 1, 1)
    [undone] = judge(found, RULES, [decision], [], today).checks
    assert undone.unwaived
    for count, verdict in ((2, Verdict.WAIVED), (1, Verdict.FAIL)):
        waiver = Waiver(code, "GET /a", count, "Ada", "nobody calls it", dt.date(2099, 1, 1))
        assert judge(found, RULES, [decision], [waiver], today).checks[0].verdict is verdict
