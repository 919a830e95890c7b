"""Requests out of what others recorded: a HAR file of a browser, an access log in the combined format, or by hand."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from towpath.errors import BadInput
from towpath.routes.corpus import READING, Recorded
from towpath.routes.route import Route, find
from towpath.routes.scrub import Scrubber

EACH = 10  # different requests that are kept of one route, unless another number is asked for
_LOG = re.compile(
    r'^\S+ \S+ .*?\[[^\]]*\] "(?P<method>[A-Z]+) (?P<path>\S+)(?: HTTP/[\d.]+)?" (?P<status>\d{3}) \S+(?: ".*)?$'
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken over, and what was left, each with the reason why."""

    items: tuple[Recorded, ...]
    left: Mapping[str, int] = field(hash=False)


@dataclass(frozen=True, slots=True)
class _Met:
    """A request as it was found."""

    method: str
    path: str
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


class Recorder:
    """Takes requests over from recordings: of each route at most `each` different ones.

    `declared` says of a route whether it writes, where its method says something else.
    """

    def __init__(
        self, routes: Sequence[Route], scrubber: Scrubber, declared: Mapping[str, bool], each: int = EACH
    ) -> None:
        self._routes, self._scrubber, self._declared, self._each = routes, scrubber, declared, each

    def har(self, path: Path, host: str = "") -> Taken:
        """The requests of a HAR file to one host: the one that is named, or the one with the most.  Raises BadInput."""
        step = "save it from the browser again, as HAR 1.2"
        try:
            entries = json.loads(path.read_bytes())["log"]["entries"]
            found = [(urllib.parse.urlsplit(one["request"]["url"]), one) for one in entries]
            hosts = Counter(_host(url) for url, _ in found)
            chosen = host or next((name for name, _ in hosts.most_common(1)), "")
            met = [_of_har(url, one) for url, one in found if _host(url) == chosen]
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}", object=str(path), next="name a HAR file") from error
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput("is no HAR file", object=str(path), next=step) from None
        return self._taken(met, "har", {"to another host": hosts.total() - hosts[chosen]})

    def log(self, path: Path) -> Taken:
        """The requests of an access log that only read: a log holds no bodies and no logins.  Raises BadInput.

        Where a route asks for a bearer's token, the first token stands in, as if that user had asked.
        """
        left: Counter[str] = Counter()
        try:
            with path.open(encoding="utf-8", errors="replace") as lines:
                met = list(_of_log(lines, left))
        except OSError as error:
            raise BadInput(f"cannot be read: {error.strerror}", object=str(path), next="name an access log") from error
        if not met:
            step = "give it in the combined format of Apache and nginx"
            raise BadInput("holds no request that we can read", object=str(path), next=step)
        return self._taken(met, "log", left)

    def _taken(self, met: Iterable[_Met], source: str, before: Mapping[str, int]) -> Taken:
        left, kept, seen = Counter(before), Counter[str](), set[Recorded]()
        items: list[Recorded] = []
        for one in met:
            item = self._item(one, source)
            if isinstance(item, str):
                left[item] += 1
            elif item in seen:
                left["that is there already"] += 1
            elif kept[item.route] >= self._each:
                left[f"of a route that has {self._each} already"] += 1
            else:
                seen.add(item)
                kept[item.route] += 1
                items.append(item)
        return Taken(tuple(items), {why: count for why, count in left.items() if count})

    def _item(self, one: _Met, source: str) -> Recorded | str:
        """The request without secrets, or why it is left."""
        route = find(self._routes, one.method, one.path.partition("?")[0])
        if route is None:
            return "of no route"
        if source == "log" and self._declared.get(route.title, route.writes):
            return "that writes: a log holds no body"
        login = self._scrubber.login(route.title) if one.status < 400 else None
        if source == "log" and login is None and one.method not in READING:
            return "with a method that needs a body: a log holds none"
        if source == "log" and route.auth != "none" and "bearer" not in route.auth:
            return "that asks for a login: a log holds none"
        headers = self._scrubber.headers(one.headers) | (dict(login.headers) if login else {})
        body = login.body if login else self._scrubber.body(one.body, headers.get("content-type", ""))
        if body is None:
            return "with a body that may hold a secret"
        if source == "log" and "bearer" in route.auth and one.status != 401:
            headers["authorization"] = f"Bearer {self._scrubber.first}"
        path, writes = self._scrubber.path(one.path, route.path), self._declared.get(route.title)
        return Recorded(route.title, one.method, path, headers, body, source, writes, one.status)


def _host(url: urllib.parse.SplitResult) -> str:
    """Host and port, without who asks."""
    return url.netloc.rpartition("@")[2]


def _of_har(url: urllib.parse.SplitResult, entry: Mapping[str, Any]) -> _Met:
    request = entry["request"]
    sent = request.get("postData") or {}
    text = str(sent.get("text") or "")
    if not text and (fields := sent.get("params")) and "urlencoded" in str(sent.get("mimeType")).lower():
        text = urllib.parse.urlencode([(str(one["name"]), str(one.get("value", ""))) for one in fields])
    try:
        body = base64.b64decode(text, validate=True) if sent.get("encoding") == "base64" else text.encode()
    except binascii.Error:
        body = text.encode()
    headers = [(str(one["name"]), str(one["value"])) for one in request.get("headers", ())]
    if sent.get("mimeType") and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", str(sent["mimeType"])))
    path = urllib.parse.urlunsplit(("", "", url.path or "/", url.query, ""))
    return _Met(str(request["method"]).upper(), path, int(entry.get("response", {}).get("status", 0)), headers, body)


def _of_log(lines: Iterable[str], left: Counter[str]) -> Iterator[_Met]:
    for line in lines:
        found = _LOG.match(line.rstrip("\n"))
        if found is None:
            left["line that is no request"] += bool(line.strip())
            continue
        # a proxy may log the whole address
        url = urllib.parse.urlsplit(found["path"]) if "://" in found["path"] else None
        path = urllib.parse.urlunsplit(("", "", url.path, url.query, "")) if url else found["path"]
        yield _Met(found["method"], path, int(found["status"]))
