"""The gateway in Cloudflare's own runtime, between a real old application and a Worker: every mode, every header."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.two_sides import Sides, two_sides
from helpers.waiting import enough, until

from towpath.local.runtime import tools
from towpath.traffic.buckets import bucket, inside

READS, WRITES = ("GET", "HEAD", "OPTIONS"), ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Sides]:
    with two_sides(tmp_path_factory.mktemp("sides"), root) as both:
        yield both


@pytest.fixture
def http(sides: Sides) -> Iterator[httpx.Client]:
    with sides.http() as client:
        yield client


def by(answer: httpx.Response) -> str:
    return answer.headers["x-served-by"]


def lines(sides: Sides, where: str, expected: int) -> list[list[Any]]:
    """Request lines once there are as many as expected: they are written after the answers."""
    sql = f"SELECT route, side, method, status, bucket, revision, lost FROM _towpath_requests WHERE {where} ORDER BY at"
    return list(enough(lambda: sides.lines.query(sql).rows, expected, "request lines are missing"))


def key_with(percent: int, low: int, salt: str = "salt") -> str:
    """A session that is inside at `percent` and not at `low`."""
    keys = (f"session-{number}" for number in range(100_000))
    return next(key for key in keys if inside(salt, key, percent) and not inside(salt, key, low))


# -- modes


@pytest.mark.parametrize(
    ("mode", "percent", "reads", "writes"),
    [
        ("origin", 0, "origin", "origin"),
        ("frozen", 0, "origin", "gateway"),
        ("split", 0, "origin", "worker"),
        ("split", 100, "worker", "worker"),
        ("worker", 100, "worker", "worker"),
    ],
)
def test_every_mode_sends_reads_and_writes_to_its_side(
    sides: Sides, mode: str, percent: int, reads: str, writes: str
) -> None:
    revision = str(sides.set(mode, percent))
    for methods, path, expected in ((READS, "/people/1", reads), (WRITES, "/people/1", writes)):
        for method in methods:
            with sides.http() as http:
                answer = http.request(method, path, content=b"x" if method in WRITES else None)
            assert (by(answer), answer.headers["x-towpath-revision"]) == (expected, revision), method
            assert answer.status_code == (503 if expected == "gateway" else 200)
    with sides.http() as http:
        assert by(http.get("/make/quiz/more")) == reads
        assert by(http.get("/make/quiz")) == writes  # a GET that is listed as a write


@pytest.mark.parametrize(
    ("mode", "percent", "expected"),
    [("frozen", 0, "origin"), ("split", 0, "origin"), ("split", 100, "worker"), ("worker", 0, "worker")],
)
def test_a_post_that_only_reads_goes_where_reads_go(sides: Sides, mode: str, percent: int, expected: str) -> None:
    """A log-in works while nothing can be written, and does not pin who logs in to the new side."""
    sides.set(mode, percent)
    with sides.http(headers={"Cookie": "session=me"}) as http:
        answer = http.post("/login", content=b"x")
        assert (answer.status_code, by(answer)) == (200, expected)
        assert answer.json()["body"] == "x"
        assert not [name for name in answer.cookies if name.startswith("__towpath")]
        assert by(http.put("/login", content=b"x")) == ("gateway" if mode == "frozen" else "worker"), "named by method"


def test_a_refused_write_says_when_to_come_back(sides: Sides, http: httpx.Client) -> None:
    sides.set("frozen")
    asked = len(sides.old.asked)
    refused = http.post("/people/1", content=b"x" * 100_000)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert refused.headers["cache-control"] == "no-store"
    assert "try again" in refused.json()["detail"]
    assert len(sides.old.asked) == asked


# -- the setting


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no json",
        b"null",
        b'"origin"',
        b'{"mode":"split","percent":10,"salt":"s"}',
        b'{"mode":"split","percent":101,"salt":"s","revision":9007199254740991}',
        b'{"mode":"split","percent":1.5,"salt":"s","revision":9007199254740991}',
        b'{"mode":"split","percent":10,"salt":"","revision":9007199254740991}',
        b'{"mode":"both","percent":10,"salt":"s","revision":9007199254740991}',
        b'{"mode":"split","percent":10,"salt":"s","revision":0}',
        None,
    ],
)
@pytest.mark.parametrize(("last", "writes"), [("origin", "origin"), ("split", "gateway"), ("worker", "gateway")])
def test_without_a_setting_reads_go_to_the_old_side_and_writes_nowhere_new(
    sides: Sides, http: httpx.Client, value: bytes | None, last: str, writes: str
) -> None:
    before = sides.set(last, 100 if last != "origin" else 0)
    assert http.get("/").headers["x-towpath-revision"] == str(before)
    if value is None:
        sides.kv.delete(["traffic"])
    else:
        sides.kv.put_alone("traffic", value, {})
    read, write = http.get("/people/1"), http.post("/people/1")
    assert (by(read), by(write)) == ("origin", writes)
    assert read.headers["x-towpath-revision"] == "0"
    sides.set("origin", revision=before + 1)
    assert http.get("/").headers["x-towpath-revision"] == str(before + 1)


def test_it_never_goes_back_to_an_older_revision(sides: Sides, http: httpx.Client) -> None:
    newest = sides.set("worker", 100)
    assert by(http.get("/")) == "worker"
    sides.set("origin", revision=newest - 1)
    assert http.get("/").headers["x-towpath-revision"] != str(newest - 1)
    assert by(http.post("/")) == "gateway"  # it takes the answer for none
    sides.set("origin", revision=newest + 1)
    assert by(http.post("/")) == "origin"


def test_the_setting_is_cached_and_kept(tmp_path: Path, root: Path) -> None:
    with two_sides(tmp_path, root, CACHE_SECONDS=3600, KEEP_SECONDS=3600) as sides, sides.http() as http:
        first = sides.set("split", 100)
        assert by(http.get("/")) == "worker"
        sides.set("origin")
        sides.kv.delete(["traffic"])
        for _ in range(10):
            answer = http.get("/")
            assert (by(answer), answer.headers["x-towpath-revision"]) == ("worker", str(first))


def test_a_setting_that_was_known_outlives_a_failure_of_kv(tmp_path: Path, root: Path) -> None:
    with two_sides(tmp_path, root, KEEP_SECONDS=3600) as sides, sides.http() as http:
        revision = sides.set("split", 100)
        assert by(http.get("/")) == "worker"
        sides.kv.put_alone("traffic", b"broken", {})
        read, write = http.get("/"), http.post("/")
        assert (by(read), by(write), write.headers["x-towpath-revision"]) == ("worker", "worker", str(revision))
        sides.set("frozen", revision=revision + 1)
        assert by(http.post("/")) == "gateway"


def test_once_the_old_side_is_gone_the_new_one_answers_without_a_setting(tmp_path: Path, root: Path) -> None:
    with two_sides(tmp_path, root, FALLBACK="worker") as sides, sides.http() as http:
        assert (by(http.get("/")), by(http.post("/"))) == ("worker", "worker")
        sides.set("frozen")
        assert (by(http.get("/")), by(http.post("/"))) == ("origin", "gateway")


def test_a_side_that_hangs_is_given_up(tmp_path: Path, root: Path) -> None:
    with two_sides(tmp_path, root, ANSWER_SECONDS=1) as sides, sides.http() as http:
        for mode, side in (("origin", "origin"), ("worker", "worker")):
            revision = sides.set(mode)
            assert http.get("/hang").status_code == 502
            assert lines(sides, f"revision = {revision}", 1) == [["(other)", side, "GET", 502, None, revision, 0]]
        sides.old.go_on.set()


def test_a_data_point_that_cannot_be_written_fails_nothing(tmp_path: Path, root: Path) -> None:
    broken = {"ANALYTICS": {"this": "is no dataset"}}
    with two_sides(tmp_path, root, **broken) as sides, sides.http() as http:
        revision = sides.set("worker", 100)
        assert by(http.get("/")) == "worker"
        assert lines(sides, f"revision = {revision}", 1) == [["/", "worker", "GET", 200, None, revision, 0]]
        log = sides.runtime.state.log
        until(lambda: "no data point" in log.read_text("utf-8"), "nobody says that it cannot be written")


def test_the_status_route_tells_the_revision_and_asks_nobody(sides: Sides, http: httpx.Client) -> None:
    revision, asked = sides.set("origin"), len(sides.old.asked)
    answer = http.get("/.well-known/towpath-traffic")
    assert (answer.status_code, answer.content, by(answer)) == (204, b"", "gateway")
    assert answer.headers["x-towpath-revision"] == str(revision)
    assert len(sides.old.asked) == asked


# -- sessions


def test_sessions_stay_on_their_side_while_the_percentage_grows(sides: Sides, http: httpx.Client) -> None:
    keys = [f"user-{number}" for number in range(40)]
    before: set[str] = set()
    for percent in (10, 50, 100):
        sides.set("split", percent, salt="ramp")
        now = set()
        for key in keys:
            answer = http.get("/people/1", headers={"Cookie": f"session={key}"})
            http.cookies.clear()
            assert "set-cookie" not in answer.headers or "__towpath" not in answer.headers["set-cookie"]
            if by(answer) == "worker":
                now.add(key)
        assert now == {key for key in keys if inside("ramp", key, percent)}  # the same as Python says
        assert before <= now
        before = now
    assert before == set(keys)


def test_a_session_without_a_key_is_given_one(sides: Sides, http: httpx.Client) -> None:
    sides.set("split", 50)
    first = http.get("/people/1")
    given = [one for one in first.headers.get_list("set-cookie") if one.startswith("__towpath_session=")]
    assert len(given) == 1
    assert "Path=/" in given[0]
    assert "HttpOnly" in given[0]
    assert "SameSite=Lax" in given[0]
    assert "Max-Age=2592000;" in given[0]  # a ramp may bake for days
    assert "Secure" not in given[0]  # here it is http
    key = http.cookies["__towpath_session"]
    expected = "worker" if inside("salt", key, 50) else "origin"
    for _ in range(5):
        again = http.get("/people/1")
        assert by(again) == by(first) == expected
        assert not any("__towpath_session" in one for one in again.headers.get_list("set-cookie"))
    with sides.http(cookies={"session": "another", "__towpath_session": key}) as logged_in:
        assert by(logged_in.get("/people/1")) == expected  # a login does not move it
    assert "__towpath" not in first.json()["headers"].get("cookie", "")


@pytest.mark.parametrize("mode", ["origin", "frozen", "worker"])
def test_outside_a_split_nobody_is_given_a_cookie(sides: Sides, http: httpx.Client, mode: str) -> None:
    sides.set(mode, 100 if mode == "worker" else 0)
    assert "__towpath" not in str(http.get("/people/1").headers.get_list("set-cookie"))


def test_who_has_written_reads_its_own_writes(sides: Sides) -> None:
    outside = key_with(100, 10)
    sides.set("split", 10)
    with sides.http(cookies={"session": outside}) as http:
        assert by(http.get("/people/1")) == "origin"
        written = http.post("/people/1")
        assert by(written) == "worker"
        assert by(http.get("/people/1")) == "worker"
        assert "__towpath" not in http.get("/people/1").json()["headers"]["cookie"]
        sides.set("frozen")
        assert by(http.get("/people/1")) == "origin"  # an abort reads the old side, whoever asks
        sides.set("split", 10)
        assert by(http.get("/people/1")) == "worker"
        sides.set("split", 10, salt="the next cutover")
        key = http.cookies["session"]
        assert by(http.get("/people/1")) == ("worker" if inside("the next cutover", key, 10) else "origin")


def test_a_write_that_was_not_acknowledged_pins_nobody(sides: Sides) -> None:
    sides.set("split", 10)
    for path in ("/status/500", "/status/422", "/drop"):
        with sides.http(cookies={"session": key_with(100, 10)}) as http:
            http.post(path)
            assert by(http.get("/people/1")) == "origin", path


# -- what goes through


def test_headers_on_the_way_to_the_old_side(sides: Sides, http: httpx.Client) -> None:
    sides.set("origin")
    spoofed = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example"}
    hops = {"Connection": "close, X-Hop", "X-Hop": "1", "TE": "trailers", "Proxy-Authorization": "x", "Keep-Alive": "7"}
    kept = {"Authorization": "Bearer token", "Accept": "text/x-odd", "X-Own": "é".encode(), "Range": "bytes=0-1"}
    asked = http.get("/people/1?a=%20b&a=2", headers={**spoofed, **hops, **kept, "Cookie": "x=1; y=2"}).json()
    assert asked["path"] == "/people/1?a=%20b&a=2"
    headers = asked["headers"]
    host = sides.runtime.gateway_url.removeprefix("http://")
    assert (headers["x-forwarded-proto"], headers["x-forwarded-host"]) == ("http", host)
    assert headers.get("x-forwarded-for") != "1.2.3.4"
    assert headers["host"] == sides.old.url.removeprefix("http://")
    assert headers["cookie"] == "x=1; y=2"
    assert (headers["authorization"], headers["accept"], headers["range"]) == (
        "Bearer token",
        "text/x-odd",
        "bytes=0-1",
    )
    assert {"x-hop", "te", "proxy-authorization", "keep-alive"} & headers.keys() == set()


def test_the_new_side_is_asked_by_its_public_name(sides: Sides, http: httpx.Client) -> None:
    sides.set("worker", 100)
    asked = http.post(
        "/people/1?a=%20b", content="bödy".encode(), headers={"Cookie": "__towpath_side=x; mine=1"}
    ).json()
    assert (asked["host"], asked["path"]) == (sides.runtime.gateway_url.removeprefix("http://"), "/people/1?a=%20b")
    assert (asked["body"], asked["headers"]["cookie"]) == ("bödy", "mine=1")
    assert asked["headers"]["x-forwarded-host"] == asked["host"]


def test_answers_come_through_as_they_are(sides: Sides, http: httpx.Client) -> None:
    sides.set("origin")
    echo = http.get("/people/1")
    assert echo.headers.get_list("set-cookie") == ["a=1; Path=/; HttpOnly", "b=2, and more; Path=/"]
    assert "keep-alive" not in echo.headers
    blob = http.get("/bytes")
    assert (blob.content, blob.headers["content-type"], blob.headers["etag"]) == (
        bytes(range(256)),
        "application/octet-stream",
        '"e"',
    )
    packed = http.get("/packed")
    assert packed.text == "packed " * 100
    assert http.head("/bytes").headers["content-length"] == "256"
    for status in (204, 304, 404, 418, 500, 503):
        assert http.get(f"/status/{status}").status_code == status


def test_redirects_are_the_clients_business(sides: Sides, http: httpx.Client) -> None:
    sides.set("origin")
    moved, away = http.get("/moved"), http.get("/away")
    assert (moved.status_code, moved.headers["location"]) == (302, f"{sides.runtime.gateway_url}/people/1")
    assert (away.status_code, away.headers["location"]) == (307, "https://elsewhere.example/x")


def test_answers_are_streamed(sides: Sides, http: httpx.Client) -> None:
    sides.set("origin")
    sides.old.go_on.clear()
    with http.stream("GET", "/slow") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"first"  # while the old side waits
        sides.old.go_on.set()
        assert b"".join(parts) == b"second"


def test_bodies_are_streamed(sides: Sides, http: httpx.Client) -> None:
    sides.set("origin")
    sides.old.arrived.clear()

    def parts() -> Iterator[bytes]:
        yield b"one"
        assert sides.old.arrived.wait(60)  # it is there before the second is sent
        yield b"two"

    assert http.post("/upload", content=parts()).json()["body"] == "onetwo"


# -- errors and lines


@pytest.mark.parametrize(("mode", "percent", "side"), [("origin", 0, "origin"), ("worker", 100, "worker")])
def test_a_side_that_does_not_answer_is_502_and_counted(
    sides: Sides, http: httpx.Client, mode: str, percent: int, side: str
) -> None:
    revision = sides.set(mode, percent)
    failed = http.get("/drop")
    assert (failed.status_code, by(failed)) == (502, "gateway")
    assert lines(sides, f"revision = {revision}", 1) == [["(other)", side, "GET", 502, None, revision, 0]]


def test_a_split_never_asks_the_other_side(sides: Sides) -> None:
    sides.set("split", 10)
    with sides.http(cookies={"session": key_with(10, 0)}) as http:
        asked = len(sides.old.asked)
        assert http.get("/drop").status_code == 502
    assert len(sides.old.asked) == asked


def test_a_line_for_each_request_and_nothing_personal_in_it(sides: Sides) -> None:
    revision = sides.set("split", 10)
    inner, outer = key_with(10, 0), key_with(100, 50)
    for key in (inner, outer):
        with sides.http(cookies={"session": key}) as http:
            http.get("/people/anna@example.org?token=secret")
            http.delete("/static/a/b/c.png")
            http.get("/nowhere/anna")
            http.get("/.well-known/towpath-traffic")
    found = lines(sides, f"revision = {revision}", 6)
    first, second = bucket("salt", inner), bucket("salt", outer)
    assert found == [
        ["/people/:id", "worker", "GET", 200, first, revision, 0],
        ["/static/*", "worker", "DELETE", 200, first, revision, 0],
        ["(other)", "worker", "GET", 200, first, revision, 0],
        ["/people/:id", "origin", "GET", 200, second, revision, 0],
        ["/static/*", "worker", "DELETE", 200, second, revision, 0],
        ["(other)", "worker", "GET", 200, second, revision, 0],  # by now it has written
    ]
    everything = str(sides.lines.query("SELECT * FROM _towpath_requests").rows)
    assert "anna" not in everything
    assert "secret" not in everything


def test_lines_that_cannot_be_written_are_counted_and_delay_nothing(sides: Sides, http: httpx.Client) -> None:
    revision = sides.set("origin")
    http.get("/")
    lines(sides, f"revision = {revision}", 1)
    sides.lines.batch(["ALTER TABLE _towpath_requests RENAME TO away"])
    try:
        assert [http.get("/").status_code for _ in range(3)] == [200] * 3
        log = sides.runtime.state.log
        until(lambda: "3 request lines are lost" in log.read_text("utf-8"), "nobody says that lines are lost")
    finally:
        sides.lines.batch(["ALTER TABLE away RENAME TO _towpath_requests"])
    http.get("/")
    http.get("/")
    found = lines(sides, f"revision = {revision}", 3)
    assert sum(line[-1] for line in found) == 3


SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "A" * 22 + "==",
}


@pytest.mark.parametrize("mode", ["origin", "split", "worker"])
def test_it_carries_no_websocket_and_none_is_an_error_of_a_side(sides: Sides, http: httpx.Client, mode: str) -> None:
    revision = sides.set(mode, 100)
    refused = http.get("/", headers=SOCKET)
    assert (refused.status_code, by(refused)) == (501, "gateway")
    [line] = lines(sides, f"revision = {revision}", 1)
    assert line[1:4] == ["gateway", "GET", 501]


def test_an_offer_of_another_protocol_is_passed_over(sides: Sides, http: httpx.Client) -> None:
    sides.set("origin")
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    answer = http.get("/", headers=offer)
    assert (answer.status_code, by(answer)) == (200, "origin")
    assert not {"upgrade", "http2-settings"} & answer.json()["headers"].keys()


def test_it_is_typed(root: Path) -> None:
    node, _ = tools(root)
    project = root / "lib/towpath/traffic/gateway/tsconfig.json"
    command = [node, root / "node_modules/typescript/bin/tsc", "--noEmit", "-p", project]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
