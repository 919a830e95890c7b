"""The fake before the new side passes everything on until it is told to fail, and then it fails as often as told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.two_sides import Sides, two_sides
from helpers.waiting import until

from towpath.local.gateway import STUMBLE

# It counts what it was asked, in the isolate's memory, so that one can see what a failed request had done.
COUNTS = """
let asked = 0;
export default {
  fetch(request: Request): Response {
    if (request.method === 'POST') asked += 1;
    return Response.json({ asked });
  },
};
"""


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Sides]:
    with two_sides(tmp_path_factory.mktemp("stumbling"), root, app=COUNTS, stumbling=True) as made:
        yield made


def asked(http: httpx.Client) -> int:
    """How many POSTs the Worker itself has met; asked past the fake, which would count the question."""
    return int(http.get("/").json()["asked"])


def test_it_fails_as_often_as_told_from_the_percentage_on(sides: Sides) -> None:
    with sides.http() as http, httpx.Client(base_url=sides.runtime.url, trust_env=False, timeout=60.0) as worker:
        sides.set("split", 10)
        assert {http.post("/").status_code for _ in range(20)} == {200}
        sides.kv.put_alone(STUMBLE, json.dumps({"share": 0.5, "from": 50}).encode(), {})
        assert {http.post("/").status_code for _ in range(20)} == {200}
        sides.set("split", 50)
        until(lambda: http.post("/").status_code == 500, "it never stumbles")
        before = asked(worker)
        answers = [http.post("/") for _ in range(40)]
        assert Counter(answer.status_code for answer in answers) == {200: 20, 500: 20}
        assert {answer.headers["x-served-by"] for answer in answers} == {"worker"}
        assert asked(worker) - before == 30  # of those that failed every second one had done what was wanted
        sides.kv.delete([STUMBLE])
        until(lambda: {http.post("/").status_code for _ in range(4)} == {200}, "it stumbles on")
        sides.set("worker", 100)
        assert {http.post("/").status_code for _ in range(20)} == {200}


def test_nothing_that_is_deployed_names_it(root: Path) -> None:
    configs, scripts = root.glob("runbooks/*/*/wrangler.jsonc"), root.glob("lib/towpath/traffic/gateway/**/*.ts")
    texts = {path: path.read_text(encoding="utf-8") for path in (*configs, *scripts)}
    assert {path.suffix for path in texts} == {".jsonc", ".ts"}
    assert [path for path, text in texts.items() if "stumbl" in text] == []
