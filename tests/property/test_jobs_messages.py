"""Whatever stands in a broker is read as a job or named as none; what a job says arrives as it was said."""

from __future__ import annotations

import base64
import datetime as dt
import json
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from towpath.jobs.message import Job, Unreadable, decode

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
# Celery's json writes ASCII, so that also half a surrogate pair is text in the body
words = st.text(st.characters(), max_size=20)
arguments = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
names = st.text(min_size=1, max_size=20).filter(str.isprintable)
times = st.none() | st.datetimes(timezones=st.just(dt.UTC) | st.none())
KEYS = ("body", "headers", "properties", "content-type", "content-encoding")


def message(body: str, headers: dict[str, Any], zipped: bool = False) -> bytes:
    """An envelope as kombu writes it."""
    data = zlib.compress(body.encode()) if zipped else body.encode()
    plain = {
        "body": base64.b64encode(data).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers | ({"compression": "application/x-gzip"} if zipped else {}),
        "properties": {"body_encoding": "base64", "delivery_tag": "t"},
    }
    return json.dumps(plain).encode()


@given(st.binary() | anything.map(lambda value: json.dumps(value).encode()))
def test_no_message_is_lost_and_none_stops_the_reading(raw: bytes) -> None:
    found = decode(raw, "celery")
    assert isinstance(found, Unreadable)
    assert (found.raw, found.code) == (raw, "JO201")


@given(st.dictionaries(st.sampled_from(KEYS), anything), st.sampled_from(KEYS), anything)
def test_a_message_that_is_nearly_one_is_read_or_named(parts: dict[str, Any], key: str, value: Any) -> None:
    whole = json.loads(message("[[], {}, {}]", {"id": "a", "task": "b"})) | parts | {key: value}
    raw = json.dumps(whole).encode()
    found = decode(raw, "celery")
    assert isinstance(found, Job) or found.raw == raw


@given(
    names, names, st.lists(arguments, max_size=4), st.dictionaries(words, arguments, max_size=3), times, st.booleans()
)
def test_a_job_is_read_as_it_was_written(
    id: str, task: str, args: list[Any], kwargs: dict[str, Any], eta: dt.datetime | None, zipped: bool
) -> None:
    body = json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    written = None if eta is None else eta.isoformat()
    found = decode(message(body, {"id": id, "task": task, "eta": written, "retries": 2}, zipped), "celery")
    assert isinstance(found, Job)
    assert (found.id, found.task, found.body, found.retries) == (id, task, body, 2)
    assert found.eta == (eta if eta is None or eta.tzinfo else eta.replace(tzinfo=dt.UTC))
    assert not found.followed


@given(words.filter(lambda text: not text.isprintable()))
def test_a_name_that_nothing_could_carry_is_none(id: str) -> None:
    found = decode(message(json.dumps({"id": id, "task": "t", "args": [], "kwargs": {}}), {}), "celery")
    assert isinstance(found, Unreadable)
    assert found.why == "it has no id"


@given(names, names, st.lists(arguments, max_size=4))
def test_protocol_1_is_read_too(id: str, task: str, args: list[Any]) -> None:
    body = json.dumps({"id": id, "task": task, "args": args, "kwargs": {}, "retries": 1, "callbacks": [{"task": "x"}]})
    found = decode(message(body, {}), "celery")
    assert isinstance(found, Job)
    assert (found.id, found.task, found.body, found.retries, found.protocol) == (id, task, body, 1, 1)
    assert found.followed
