"""Every dump of redis-rdb-tools: loaded by a real Redis 6.2, moved to the local KV, proved, and read a second time.

They lie beside the project (../shared/data/redis), not in it.  Two of them Redis itself does not load.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.keys import EVERYTHING, exported
from helpers.project import HERE
from redis import Redis

from towpath import keys
from towpath.checks import Verdict
from towpath.cloudflare import KV, Client
from towpath.errors import CannotFinish
from towpath.local.redis import RedisServer, start_redis

DATA = HERE.parent / "shared" / "data" / "redis" / "rdb-tools" / "tests" / "dumps"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the dumps of others lie beside the project, in ../shared/data")
NONE, ONE, SIX = {0: 0}, {0: 1}, {0: 6}
MOVES = {  # dump -> database -> keys that arrive
    **dict.fromkeys(("dictionary", "easily_compressible_string_key", "hash_as_ziplist", "intset_16", "intset_32"), ONE),
    **dict.fromkeys(("intset_64", "linkedlist", "regular_set", "regular_sorted_set", "sorted_set_as_ziplist"), ONE),
    **dict.fromkeys(("ziplist_that_compresses_easily", "ziplist_that_doesnt_compress", "ziplist_with_integers"), ONE),
    **dict.fromkeys(("zipmap_that_compresses_easily", "zipmap_that_doesnt_compress", "zipmap_with_big_values"), ONE),
    **dict.fromkeys(("integer_keys", "non_ascii_values", "rdb_version_5_with_checksum"), SIX),
    **dict.fromkeys(("empty_database", "keys_with_expiry"), NONE),  # what has expired is gone when it is loaded
    "multiple_databases": {0: 1, 2: 1},
    "parser_filters": {0: 43},
    "rdb_version_8_with_64b_length_and_scores": {0: 2},
    "redis_50_with_streams": {0: 14},
    "uncompressible_string_keys": {0: 1},
}
FINDINGS = {  # (dump, database) -> what the inventory says of it; nothing of all others
    ("empty_database", 0): {"KE110": 1},
    ("keys_with_expiry", 0): {"KE110": 1},
    ("multiple_databases", 0): {"KE108": 1},
    ("multiple_databases", 2): {"KE108": 1},
    ("redis_50_with_streams", 0): {"KE207": 1},
    ("uncompressible_string_keys", 0): {"KE103": 2},  # two names of more than 512 bytes
}
REFUSED = ("redis_40_with_module", "redis_60_with_module_aux")  # types of modules that a plain Redis has not


@contextmanager
def served(name: str, folder: Path) -> Iterator[RedisServer]:
    """A Redis of its own that has loaded the dump."""
    (folder / "data").mkdir(parents=True)
    shutil.copyfile(DATA / f"{name}.rdb", folder / "data" / "dump.rdb")
    server = start_redis(folder, ends_with_us=True)
    try:
        yield server
    finally:
        server.stop()


@real
def test_no_dump_is_left_out() -> None:
    assert {path.stem for path in DATA.glob("*.rdb")} == {*MOVES, *REFUSED}


@real
@pytest.mark.parametrize("name", REFUSED)
def test_redis_itself_refuses_what_needs_a_module(name: str, tmp_path: Path) -> None:
    with pytest.raises(CannotFinish, match="ended while starting"), served(name, tmp_path / "redis"):
        pass


@real
@pytest.mark.parametrize("name", MOVES)
def test_a_dump_arrives(name: str, tmp_path: Path, client: Client) -> None:
    with served(name, tmp_path / "redis") as server:
        for number, count in MOVES[name].items():
            kv = KV(client, f"test-{secrets.token_hex(8)}")
            with Redis(port=server.port, password=server.password, db=number) as redis:
                found = keys.inventory(redis, EVERYTHING).findings
                assert {one.code: one.count for one in found} == FINDINGS.get((name, number), {})
                manifest = exported(redis, tmp_path / str(number))
                assert manifest.keys == count
                keys.load(kv, manifest)
                proved = keys.compare(kv, manifest)
                assert [check.found for check in proved.checks if check.verdict is not Verdict.PASS] == []
                assert {one.key for one in kv.list() if redis.type(one.key) == b"string"} == {
                    entry.key for entry in manifest if kv.get(entry.key) == redis_string(redis, entry.key)
                }


def redis_string(redis: Redis, key: str) -> bytes | None:
    """The bytes of a string, None of any other type."""
    if redis.type(key) != b"string":
        return None
    value = redis.get(key)
    assert isinstance(value, bytes)
    return value
