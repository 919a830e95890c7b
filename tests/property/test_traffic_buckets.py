"""Which sessions a percentage takes: the gateway and the library say the same of any key, and nobody moves back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.local.runtime import tools
from towpath.local.worker import bundled
from towpath.traffic.buckets import BUCKETS, bucket, inside

# As long as stdin is open: a line of [salt, key] pairs in, a line of buckets out.
ASKED = """
import { createInterface } from 'node:readline';
import { bucketOf } from %s;
for await (const line of createInterface({ input: process.stdin })) {
  const found = await Promise.all(JSON.parse(line).map(([salt, key]) => bucketOf(salt, key)));
  process.stdout.write(JSON.stringify(found) + '\\n');
}
"""
Pairs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def typescript(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Pairs], list[int]]]:
    node, packages = tools(root)
    folder = tmp_path_factory.mktemp("buckets")
    source, script = folder / "asked.ts", folder / "asked.mjs"
    sessions = root / "lib/towpath/traffic/gateway/src/sessions.ts"
    source.write_text(ASKED % json.dumps(str(sessions)), encoding="utf-8")
    bundled(source, {}, node, packages, script)
    with subprocess.Popen([node, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout

        def ask(pairs: Pairs) -> list[int]:
            stdin.write(json.dumps(pairs) + "\n")
            stdin.flush()
            return list(json.loads(stdout.readline()))

        yield ask
        stdin.close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=20))
def test_the_gateway_and_the_library_agree_on_any_key(typescript: Callable[[Pairs], list[int]], pairs: Pairs) -> None:
    assert typescript(pairs) == [bucket(salt, key) for salt, key in pairs]


@given(salt=st.text(), key=st.text(), first=st.integers(0, 100), second=st.integers(0, 100))
def test_who_is_in_stays_in(salt: str, key: str, first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert inside(salt, key, low) <= inside(salt, key, high)
    assert not inside(salt, key, 0)
    assert inside(salt, key, 100)
    assert 0 <= bucket(salt, key) < BUCKETS


@settings(max_examples=20)
@given(salt=st.text(min_size=1, max_size=16), percent=st.integers(1, 99))
def test_a_percentage_is_that_many_sessions(salt: str, percent: int) -> None:
    number = 20_000
    share = sum(inside(salt, f"session-{at}", percent) for at in range(number)) / number
    # six standard deviations: once in 500 million
    assert abs(share - percent / 100) < 6 * (percent / 100 * (1 - percent / 100) / number) ** 0.5


def test_another_salt_takes_others() -> None:
    keys = [f"session-{at}" for at in range(5000)]
    both = sum(inside("a", key, 10) and inside("b", key, 10) for key in keys)
    assert 20 < both < 100  # 50 expected: independent
