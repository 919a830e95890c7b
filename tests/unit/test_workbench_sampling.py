"""Samples during the ramp: both sides asked the same while users write on one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.small_side import Asked, Reply, as_json, small_side

from towpath.errors import CannotFinish
from towpath.plan.mapping import SystemMapping
from towpath.plan.traffic_keys import TrafficKeys
from towpath.routes import corpus
from towpath.routes.corpus import Recorded
from towpath.workbench.sampling import SAMPLES, Sampled, Sampler

RULES = [{"route": "GET /tasks", "path": "$.version", "as": "ignored", "reason": "each side has its own"}]
OLD = {"items": [{"id": 1, "title": "one"}], "version": 1}


def recorded(path: str = "/tasks", method: str = "GET", **more: Any) -> Recorded:
    return Recorded(f"{method} {path}", method, path, {}, b"", "hand", **more)


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Any]:
    def made(old: str, new: str, *requests: Recorded) -> Any:
        corpus.write(tmp_path / "corpus.jsonl", requests)
        params = {name: field.default for name, field in TrafficKeys.model_fields.items()}
        params |= {"source_url": old, "worker_url": new, "environment": "local", "source_is_server": False}
        traffic = {"corpus": "corpus.jsonl", "parity": {"rules": RULES}}
        mapping = SystemMapping.model_validate({"traffic": traffic}, strict=False)
        return SimpleNamespace(root=tmp_path, params=SimpleNamespace(**params), run=SimpleNamespace(mapping=mapping))

    return made


def always(reply: Reply) -> Asked:
    return lambda *_: reply


def sample(bench: Callable[..., Any], old: Asked, new: Asked, *requests: Recorded) -> Sampled:
    with small_side(old) as first, small_side(new) as second:
        return Sampler(bench(first, second, *(requests or [recorded()]))).take()


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (OLD, "1 asked, 0 with other contents, 0 unlike"),
        ({**OLD, "version": "2.0"}, "1 asked, 0 with other contents, 0 unlike"),  # by a rule of mapping.yaml
        (
            {**OLD, "items": [{"id": 2, "title": "written since"}, *OLD["items"]]},
            "1 asked, 1 with other contents, 0 unlike",
        ),
        ({**OLD, "items": []}, "1 asked, 1 with other contents, 0 unlike"),
        (
            {**OLD, "items": [{"id": "1", "title": "one"}]},
            "1 asked, 0 with other contents, 1 unlike: GET /tasks $.items[*].id number and text",
        ),
        (
            {"items": [{"id": 1}], "version": 1},
            "1 asked, 0 with other contents, 1 unlike: GET /tasks $.items[*].title only old",
        ),
    ],
)
def test_contents_are_told_and_the_shape_is_judged(bench: Callable[..., Any], new: Any, line: str) -> None:
    found = sample(bench, always(as_json(OLD)), always(as_json(new)))
    assert (found.line, found.holds) == (line, " 0 unlike" in line)


def test_another_status_and_another_type_are_another_shape(bench: Callable[..., Any]) -> None:
    found = sample(bench, always(as_json(OLD)), always(as_json({"detail": "no"}, 500)))
    assert found.unlike == ("GET /tasks 200 and 500",)
    page = (200, {"Content-Type": "text/html"}, b"<p>sorry")
    found = sample(bench, always(as_json(OLD)), always(page))
    assert found.unlike == ("GET /tasks JSON and text/html, $ object and bytes",)


def test_what_the_old_side_answers_differently_by_itself_is_noise(bench: Callable[..., Any]) -> None:
    times: list[int] = []

    def clock(*_: Any) -> Reply:
        times.append(1)
        return as_json({"at": len(times), "by": None if len(times) % 2 else "x"})

    found = sample(bench, clock, always(as_json({"at": 1_000, "by": "y"})))
    assert found.line == "1 asked, 0 with other contents, 0 unlike"
    assert len(times) == 3  # once whether it is there at all


def test_only_what_reads_is_sent_and_each_step_goes_on_in_the_corpus(bench: Callable[..., Any]) -> None:
    seen: list[str] = []

    def answer(method: str, path: str, _: Mapping[str, str], __: bytes) -> Reply:
        seen.append(f"{method} {path}")
        return as_json({})

    requests = [recorded(f"/{number}") for number in range(SAMPLES + 5)]
    with small_side(always(as_json({}))) as old, small_side(answer) as new:
        sampler = Sampler(bench(old, new, recorded("/1", "POST"), *requests))
        assert [sampler.take().asked for _ in range(2)] == [SAMPLES, SAMPLES]
    asked = [line for line in seen if line != "GET /"]
    assert asked == [f"GET /{number % (SAMPLES + 5)}" for number in range(2 * SAMPLES)]


@pytest.mark.parametrize(
    ("requests", "why"),
    [
        ([recorded(method="POST")], "The corpus holds no request that only reads."),
        ([recorded("/tasks/{id:task}")], "Nothing is known for the placeholders of these requests."),
    ],
)
def test_what_cannot_be_asked_is_said_and_is_no_sample(bench: Any, requests: list[Recorded], why: str) -> None:
    found = sample(bench, always(as_json(OLD)), always(as_json(OLD)), *requests)
    assert (found.asked, found.line) == (0, why)


def test_a_side_that_is_gone_is_no_sample_either(bench: Callable[..., Any]) -> None:
    with small_side(always(as_json(OLD))) as old, small_side(always(as_json(OLD))) as gone:
        pass
    with pytest.raises(CannotFinish, match="the old side gives no answer"):
        Sampler(bench(old, gone, recorded())).take()


def test_one_in_ten_may_be_unlike() -> None:
    assert Sampled(20, ("GET /a 200 and 404",) * 2).holds
    assert not Sampled(20, ("GET /a 200 and 404",) * 3).holds
