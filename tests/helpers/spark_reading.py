"""Personality Spark's two sides read by other means: psycopg, redis-py, files and plain HTTP, no code of the product.

What mapping.yaml says is written here a second time, in Python, by hand.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import time
from typing import Any

import redis

from helpers.spark import Spark, objects

OLD, NEW = "https://cdn.personalityspark.com/static/", "https://media.personalityspark.com/"
DROPPED = (b"lock:", b"otp:")  # by rule: they end within a minute
Rows = list[list[Any]]
SELECTED = {
    "users": "id, email, username, handle, locale, plan, password_hash, hex(avatar), avatar IS NULL, born,"
    " created_at, last_login",
    "quiz_results": "id, user_id, quiz_type, results, tags, took, created_at, shared",
    "saved_quizzes": "id, user_id, slug, quiz_data, archived, created_at",
    "quiz_analytics": "id, quiz_type, completion_rate, avg_time_seconds, share_rate, created_date",
    "share_cards": "id, quiz_result_id, object_key, url, created_at",
    "purchases": "id, user_id, product, amount_cents, fee_cents, net_cents, currency, purchased_at, valid_until",
    "quiz_events": "id, occurred_at, user_id, quiz_type, kind, payload",
    "user_badges": "user_id, badge, level, awarded_at",
    "import_log": "batch, line, message, logged_at",
    "daily_counts": "day, quiz_type, results",
}


def unlike_the_source(project: Spark) -> list[str]:
    """Tables, keys, cards and jobs in which the new side is not the old one after mapping.yaml; empty if none is."""
    return [*unlike_rows(project), *unlike_keys(project), *unlike_cards(project), *unlike_jobs(project)]


# -- rows


def unlike_rows(project: Spark) -> list[str]:
    """Tables whose rows are not those that the old database gives."""
    return [table for table, wanted in wanted_rows(project).items() if wanted != rows(project, table)]


def rows(project: Spark, table: str) -> Rows:
    """What the target holds, in one order."""
    found = project.target(f"SELECT {SELECTED[table]} FROM {table}")
    if table == "quiz_results":
        found = [[*row[:4], json.loads(row[4]), *row[5:]] for row in found]
    return sorted(found, key=repr)


def wanted_rows(project: Spark) -> dict[str, Rows]:
    """What each target table must hold."""
    found: dict[str, Rows] = {
        "users": _users(project.ask(
            "SELECT id::text, email::text, username, plan::text, password_hash, avatar, birth_date, created_at,"
            " last_login FROM users")),
        "quiz_results": [
            [id, user, kind or "daily", results.replace(OLD, NEW), tags, duration(took), seconds(at), int(shared)]
            for id, user, kind, results, tags, took, at, shared in project.ask(
                "SELECT id::text, user_id::text, quiz_type, results::text, tags, duration::text, created_at, shared"
                " FROM quiz_results")],
        "saved_quizzes": [
            [id, user, slug, data, int(archived), seconds(at)]
            for id, user, slug, data, archived, at in project.ask(
                "SELECT id::text, user_id::text, slug, quiz_data::text, archived, created_at FROM saved_quizzes")],
        "quiz_analytics": [
            [id, kind, None if rate is None else float(rate), length, share, day.isoformat()]
            for id, kind, rate, length, share, day in project.ask(
                "SELECT id, quiz_type, completion_rate, avg_time_seconds, share_rate, created_date FROM quiz_analytics")
            if rate is None or not rate.is_nan()],
        "share_cards": [
            [id, result, path, url.replace(OLD, NEW), moment(at)]
            for id, result, path, url, at in project.ask(
                "SELECT id::text, quiz_result_id::text, path, url, created_at FROM share_cards")],
        "purchases": [
            [id, user, product, int(amount * 100), int(fee * 100), int((amount - fee) * 100), currency, moment(at),
             until and moment(until)]
            for id, user, product, amount, fee, currency, at, until in project.ask(
                "SELECT id, user_id::text, product, amount, fee, currency, purchased_at,"
                " nullif(valid_until, 'infinity') FROM purchases")],
        "quiz_events": [
            [id, moment(at), user, quiz, kind, payload]
            for id, at, user, quiz, kind, payload in project.ask(
                "SELECT id, occurred_at, user_id::text, quiz_type, kind, payload::text FROM quiz_events")],
        "user_badges": [
            [user, badge, level, moment(at)]
            for user, badge, level, at in project.ask(
                "SELECT user_id::text, badge, level, awarded_at FROM user_badges")],
        "import_log": [
            [batch, line, message, f"{at:%Y-%m-%dT%H:%M:%S.%f}"]
            for batch, line, message, at in project.ask("SELECT batch, line, message, logged_at FROM import_log")],
        "daily_counts": [
            [day.isoformat(), kind, count]
            for day, kind, count in project.ask("SELECT day, quiz_type, count FROM stats.daily_counts")],
    }  # fmt: skip
    return {table: sorted(made, key=repr) for table, made in found.items()}


def _users(accounts: list[tuple[Any, ...]]) -> Rows:
    """The first account of a name keeps it as its handle; the letters A to Z are the ones without case."""
    taken: set[str] = set()
    made: Rows = []
    for id, email, name, plan, secret, avatar, born, created, login in sorted(accounts):
        folded = None if name is None else re.sub("[A-Z]", lambda found: found[0].lower(), name)
        handle = name if folded is not None and folded not in taken else None
        taken |= {folded} if folded is not None else set()
        picture = [avatar.hex().upper() if avatar is not None else "", int(avatar is None)]
        day = born and born.isoformat()
        made.append([id, email, name, handle, "en", plan, secret, *picture, day, seconds(created), seconds(login)])
    return made


def seconds(at: dt.datetime | None) -> int | None:
    """Whole seconds since 1970; nothing here is older."""
    return None if at is None else int(at.timestamp())


def moment(at: dt.datetime) -> str:
    """A moment as the new side writes it."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def duration(text: str | None) -> str | None:
    """ISO 8601 of what PostgreSQL writes for an interval in its own style."""
    if text is None:
        return None
    date = "".join(number + unit[0].upper() for number, unit in re.findall(r"([+-]?\d+) (year|mon|day)s?", text))
    clock = re.search(r"([+-]?)(\d+):(\d+):(\d+)(\.\d+)?$", text)
    day = date.replace("+", "")
    if clock is None:
        return f"P{day}"
    sign = "-" if clock[1] == "-" else ""
    whole = f"{int(clock[4])}{(clock[5] or '').rstrip('0').rstrip('.')}"
    parts = [f"{sign}{int(clock[at])}{unit}" for at, unit in ((2, "H"), (3, "M")) if int(clock[at])]
    parts += [f"{sign}{whole}S"] if whole != "0" else []
    return f"P{day}T{''.join(parts)}" if parts else f"P{day}" if day else "PT0S"


# -- keys


def unlike_keys(project: Spark) -> list[str]:
    """Keys that the namespace lacks, has otherwise, or has too many."""
    there, seen, wrong = project.names(), set(), []
    with project.cache() as cache:
        for key in cache.scan_iter():
            left = cache.pttl(key)
            if key.startswith(DROPPED) or left == -2:
                continue
            seen.add(key.decode())
            kind = cache.type(key).decode()
            ends = time.time() + left / 1000 if left > 0 else None
            if not _same(project, there.get(key.decode()), kind, _read(cache, key, kind), ends):
                wrong.append(key.decode())
    return sorted([*wrong, *(there.keys() - seen)])


def _read(cache: redis.Redis, key: bytes, kind: str) -> Any:
    """The value as bytes, or as Python has it when it reads JSON."""
    if kind == "string":
        return cache.get(key)
    if kind == "hash":
        return {name.decode(): value.decode() for name, value in cache.hgetall(key).items()}
    if kind == "list":
        return [one.decode() for one in cache.lrange(key, 0, -1)]
    if kind == "set":
        return sorted(one.decode() for one in cache.smembers(key))
    if kind == "zset":
        return [[one.decode(), score] for one, score in cache.zrange(key, 0, -1, withscores=True)]
    assert kind == "stream", kind
    return [[id.decode(), [[n.decode(), v.decode()] for n, v in fields.items()]] for id, fields in cache.xrange(key)]


def _same(project: Spark, entry: dict[str, Any] | None, kind: str, wanted: Any, ends: float | None) -> bool:
    if entry is None or (entry.get("metadata") or {"type": kind})["type"] != kind:  # the new application writes none
        return False
    until = entry.get("expiration")
    if (until is None) != (ends is None) or (until and ends and not -0.1 <= until - ends <= 2):
        return False
    value = project.value(entry["name"])
    if kind == "string":
        return bool(value == wanted)
    found = json.loads(value)
    if kind == "set":
        found = sorted(found)
    if kind == "zset":
        found = [[name, float(score)] for name, score in found]
    return bool(found == wanted)


# -- cards and jobs


def unlike_cards(project: Spark) -> list[str]:
    """Share cards that differ in one byte, or in what a browser is told of them."""
    disk = {path.relative_to(project.data).as_posix(): path.read_bytes() for path in project.data.glob("shares/*")}
    there = project.objects()
    told = ("image/png", "public, max-age=31536000")
    heads = {key for key, head in objects(project).items() if (head["ContentType"], head["CacheControl"]) != told}
    return sorted({key for key in disk.keys() | there.keys() if disk.get(key) != there.get(key)} | heads)


def unlike_jobs(project: Spark) -> list[str]:
    """Ids that the consumer lacks, has without reason, or has with another task or body."""
    wanted = queued(project)
    there = {id: (task, body) for id, task, body in project.target("SELECT id, task, body FROM received_jobs")}
    dead = {row[0] for row in project.target("SELECT id FROM received_jobs_dead")}
    return sorted({id for id in wanted.keys() | there.keys() if wanted.get(id) != there.get(id)} | dead)


def queued(project: Spark) -> dict[str, tuple[str, str]]:
    """Every job of the broker whose body is JSON: task and body by id."""
    with project.broker() as client:
        raw = [json.loads(one) for queue in ("celery", "analytics") for one in client.lrange(queue, 0, -1)]
        raw += [json.loads(one)[0] for one in client.hvals("unacked")]
    found = {}
    for message in raw:
        body = base64.b64decode(message["body"])
        try:
            json.loads(body)
        except ValueError:
            continue  # a pickle, or cut off: both are planted, and parked
        found[message["headers"]["id"]] = (message["headers"]["task"], body.decode())
    return found
