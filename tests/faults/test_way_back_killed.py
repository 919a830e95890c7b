"""A way back of keys and of jobs whose process is killed with SIGKILL between two changes, and begun again."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path

import redis
from helpers.keys import exported
from helpers.worker_side import migrations

from towpath import jobs, keys
from towpath.cloudflare import D1, KV, Client
from towpath.cloudflare.kv import pair
from towpath.jobs.message import decode
from towpath.keys import KeyRule
from towpath.local import Runtime
from towpath.local.redis import RedisServer

RULES = (KeyRule("*"),)
NAMES = [f"key:{number}" for number in range(6)]
IDS = [f"job-{number}" for number in range(6)]
TASK, LATER = "mail.send", "2035-01-01T00:00:00Z"
CHILD = """
import json, sys
import redis
from pathlib import Path
from towpath import jobs, keys
from towpath.cloudflare import D1, KV, Client
from towpath.jobs import back as jobs_back

given = json.loads(sys.argv[1])
left = given["changes"]

def report(_):
    global left
    left -= 1
    if not left:
        print("here", flush=True)
        sys.stdin.read()  # until somebody kills us

jobs_back.TOGETHER = 1
broker = redis.Redis(port=given["port"], password=given["password"])
with Client(given["api"]) as client:
    if given["what"] == "keys":
        kv, made = KV(client, given["target"]), keys.read(Path(given["folder"]))
        keys.carry_back(broker, keys.find_back(kv, broker, made, made.rules), report)
    else:
        d1 = D1(client, given["target"])
        jobs.carry_jobs_back(d1, broker, jobs.find_back(d1, broker, None, ["celery"]), report, now=1)
"""


def killed(server: RedisServer, runtime: Runtime, what: str, target: str, changes: int, folder: Path) -> None:
    """Carry back in a process of its own, and kill it after so many changes."""
    given = {"what": what, "target": target, "changes": changes, "folder": str(folder)}
    given |= {"port": server.port, "password": server.password, "api": runtime.api}
    command = [sys.executable, "-c", CHILD, json.dumps(given)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = child.stdout.readline()
        child.kill()
    assert said == "here\n"


def test_keys_go_on_where_the_kill_cut_them(
    redis_server: RedisServer, redis_client: redis.Redis, runtime: Runtime, client: Client, tmp_path: Path
) -> None:
    for name in NAMES:
        redis_client.set(name, "mine")
    made = exported(redis_client, tmp_path, RULES)
    kv = KV(client, secrets.token_hex(16))
    keys.load(kv, made)
    theirs = [pair(name, b"theirs", expiration=None, metadata={}, binary=False) for name in NAMES]
    kv.put(b"[" + b",".join(theirs) + b"]")
    killed(redis_server, runtime, "keys", kv.namespace, 2, tmp_path)
    assert [redis_client.get(name) for name in NAMES] == [b"theirs"] * 2 + [b"mine"] * 4
    left = keys.find_back(kv, redis_client, made, RULES)
    assert ([change.key for change in left.changes], left.conflicts) == (NAMES[2:], ())
    keys.carry_back(redis_client, left)
    assert keys.prove_back(kv, redis_client, RULES, left).differences == ()


def test_jobs_are_pushed_once_however_often_it_is_killed(
    redis_server: RedisServer, redis_client: redis.Redis, runtime: Runtime, d1: D1, root: Path, tmp_path: Path
) -> None:
    d1.batch(migrations(root))
    for id in IDS:
        d1.query("INSERT INTO received_jobs VALUES (?, 'celery', ?, '[[], {}, {}]', 1)", id, TASK)
        d1.query("INSERT INTO job_states (id, eta) VALUES (?, ?)", id, LATER)
    for _ in range(2):
        killed(redis_server, runtime, "jobs", d1.database_id, 2, tmp_path)
    assert redis_client.llen("celery") == 4
    redis_client.rpop("celery")  # a worker that nobody stopped has run one
    left = jobs.find_back(d1, redis_client, None, ["celery"])
    assert ([one.id for one in left.give], left.given, left.stay) == (IDS[4:], tuple(IDS[:1]), tuple(IDS[1:4]))
    jobs.carry_jobs_back(d1, redis_client, left, now=1)
    assert [decode(raw, "celery").id for raw in reversed(redis_client.lrange("celery", 0, -1))] == IDS[1:]
    assert jobs.prove_jobs_back(d1, redis_client, left, ["celery"]).wrong == ()
