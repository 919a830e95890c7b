"""A canary in every place where a secret can be, and a search through every file of the output for it."""

from __future__ import annotations

import base64
import html
import json
import os
import subprocess
import traceback
import urllib.parse
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers.records import PAPERMILL, PARAMS, Desk, notebook

from towpath.errors import WrongUse
from towpath.local import Runtime
from towpath.local.postgresql import Postgresql
from towpath.local.redis import RedisServer
from towpath.plan.params import params_from
from towpath.runs import journal

CANARIES = {
    "environment": "environment-canary-3333",
    "named": "named-canary-4444",
    "file": "access-key-canary-1111",
    "file of the second key": "secret-key-canary-2222",
    "made in the kernel": "kernel-canary-5555",
}

CELLS = (
    "# Canaries\n\nNothing of what follows may be found on disk.",
    """import base64, os, sys
from pathlib import Path
from IPython.display import display
from towpath.runs import journal
from towpath.show import Banner, progress, table
token, named = os.environ["CANARY_TOKEN"], os.environ["THEIR_PASSWORD"]
access, secret = (Path("keys", name).read_text().strip() for name in ("access", "secret"))
every = [token, named, access, secret]
journal.attach(Path("out/journal.jsonl"), "01-inventory", 1)
banner = Banner(f"title {token}", [("fact", access)]).show()""",
    """for value in every:
    sys.stdout.write("half " + value[: len(value) // 2]); sys.stdout.flush()
    sys.stdout.write(value[len(value) // 2 :] + "\\n"); sys.stdout.flush()
    print(f"{value} {base64.b64encode(value.encode()).decode()} {value.encode().hex()}", file=sys.stderr)""",
    """display({"text/html": f"<b title='{token}'>{access}</b>", "application/json": {"k": [named, {secret: 1}]},
         "text/plain": secret}, raw=True, metadata={"note": token})
handle = display({"text/plain": "first"}, raw=True, display_id="later")
handle.update({"text/plain": secret}, raw=True)
table([[value, 1] for value in every], ["value", token], named)""",
    """print({"Authorization": "Bearer " + "unknown-bearer-canary-666666", "Cookie": "session=unknown-cookie-canary"})
print("postgres://joan:unknown-url-canary@127.0.0.1/db")
print("x" * 30_000, token)""",
    """from towpath.secrets import remember
made = "kernel-" + "canary-5555"
remember(made, "kernel:made")
sys.stdout.write(made[:9]); sys.stdout.flush()
sys.stdout.write(made[9:] + "\\n"); sys.stdout.flush()
with progress(made, 10, token) as report:
    report(10)
made""",
    """try:
    raise KeyError(f"inner {named}")
except KeyError as error:
    raise RuntimeError(f"request to /x failed: headers {{'x-auth-key': '{token}'}}", access, made) from error""",
)


def test_no_canary_is_on_disk_or_in_the_terminal(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    environment = {"CANARY_TOKEN": CANARIES["environment"], "THEIR_PASSWORD": CANARIES["named"]}
    code, said = desk.run(notebook(*CELLS), "--log-output", **environment)
    assert code == 1, said
    everything = desk.everything() + said
    forms = {
        form: name
        for name, canary in CANARIES.items()
        for form in (canary, base64.b64encode(canary.encode()).decode(), canary.encode().hex())
    }
    forms |= dict.fromkeys(("unknown-bearer-canary", "unknown-cookie-canary", "unknown-url-canary"), "by its shape")
    saved = desk.saved()
    # what the notebook's own source spells out, to be printed by it, stands in that source
    spelled = {form for form in forms if any(form in cell for cell in CELLS)}
    assert {name for form, name in forms.items() if form in everything and form not in spelled} == set()
    outputs = "".join(str(cell.get("outputs", "")) for cell in saved.cells)
    assert not any(form in outputs for form in forms)
    for name in ("env:CANARY_TOKEN", "env:THEIR_PASSWORD", "file:keys/access", "file:keys/secret", "kernel:made"):
        assert f"[secret {name}]" in outputs
    printed = next(cell for cell in saved.cells if cell.id == "c3").outputs[0]
    assert printed.text.startswith("half [secret env:CANARY_TOKEN]\nhalf [secret env:THEIR_PASSWORD]\n")


def test_the_journal_of_that_run_is_whole_and_names_its_cells(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    cells = (CELLS[1], "1 + 1", "raise ValueError(token)")
    code, said = desk.run(notebook(*cells), CANARY_TOKEN="environment-canary-3333", THEIR_PASSWORD="named-canary-4444")
    assert code == 1, said
    path = desk.folder / "out" / "journal.jsonl"
    entries = list(journal.read(path))
    assert journal.verify(path) == []
    assert [(e["cell"], e["success"]) for e in entries] == [("c1", True), ("c2", True), ("c3", False)]
    assert [e["count"] for e in entries] == [3, 4, 5]
    assert entries[-1]["error"] == "ValueError: [secret env:CANARY_TOKEN]"
    banner = next(cell for cell in desk.saved().cells if cell.id == "c1").outputs[0]
    assert banner.data["text/plain"].startswith("INCOMPLETE · title [secret env:CANARY_TOKEN]\nValueError: ")


# -- the servers of the old side, and the new Worker

# Characters that URLs, JSON, HTML and Python write in ways of their own; libpq's own variable beside them.
ODD = """-canary/%&<'"ü 7"""
KEYS = ("source_password", "source_cache_password", "source_jobs_password", "worker_token")
LIBPQ = "libpq-canary-8888"
SERVERS = (
    """import base64, html, json, os, sys, urllib.parse
from pathlib import Path
import orjson, psycopg, redis
from IPython.display import display
from towpath import jobs, keys
from towpath.postgresql.connection import connect
from towpath.secrets import Secret
given = [source_password, source_cache_password, source_jobs_password, worker_token]
database, cache, queue, worker = (Secret(reference, Path.cwd()) for reference in given)
every = [one.reveal() for one in (database, cache, queue, worker)] + [os.environ["PGPASSWORD"]]""",
    """def attempt(what):
    try:
        what()
    except Exception as error:
        print(repr(error), error, vars(error), file=sys.stderr)
attempt(lambda: connect(source_database, database))
attempt(lambda: psycopg.connect(source_database, password=every[0]))
attempt(lambda: psycopg.connect(source_database))
attempt(lambda: psycopg.connect(source_database.replace("@", f":{urllib.parse.quote(every[0], safe='')}@")))
attempt(lambda: keys.facts(keys.connect(source_cache, cache)))
attempt(lambda: redis.Redis.from_url(source_jobs, password=every[2]).ping())
attempt(lambda: redis.Redis.from_url(source_jobs.replace("//", f"//:{urllib.parse.quote(every[2], safe='')}@")).ping())
attempt(lambda: jobs.Push(worker_url, worker).__enter__().send([{"id": "1"}]))""",
    """for value in every:
    print(value, value.encode(), [value], json.dumps({"k": value}), html.escape(value), html.escape(value, quote=False))
    print(orjson.dumps({value: value}).decode(), urllib.parse.quote(value), urllib.parse.quote_plus(value), end="|")
    print(f"postgresql://spark:{urllib.parse.quote(value, safe='')}@127.0.0.1/spark", base64.b64encode(value.encode()))
    display({"text/html": f"<i title='{html.escape(value)}'>", "application/json": {value: [value]}}, raw=True)""",
    """raise RuntimeError(f"no connection to {source_database} password={every[0]}", *every[1:])""",
)


def forms(secret: str) -> set[str]:
    """What a secret looks like in the texts that carry it."""
    raw = secret.encode()
    found = {secret, repr(secret)[1:-1], repr(raw)[2:-1], json.dumps(secret)[1:-1], raw.hex()}
    found |= {json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret), html.escape(secret, quote=False)}
    found |= {urllib.parse.quote(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)}
    return found | {base64.b64encode(raw).decode()}


@pytest.mark.parametrize("kind", ["env", "file"])
def test_no_password_of_a_server_and_no_token_of_a_worker_is_on_disk_or_in_the_terminal(
    tmp_path: Path, postgresql_server: Postgresql, redis_server: RedisServer, kind: str
) -> None:
    """None of them is right: what is searched for is also in what the servers and their clients say of that."""
    secrets = {key: f"{key}{ODD}" for key in KEYS}
    secrets["worker_token"] = "worker-canary/%&<'"  # it travels in a header, which is ASCII
    variables = {key: f"LEDGER_{number}" for number, key in enumerate(KEYS)}  # names that give nothing away
    references = {key: f"env:{variables[key]}" if kind == "env" else f"file:keys/{key}" for key in KEYS}
    desk = Desk(
        tmp_path / "desk",
        source_database=postgresql_server.url("postgres"),
        source_cache=redis_server.url(0),
        source_jobs=redis_server.url(1),
        kv_namespace_id="cache",
        worker_url="http://127.0.0.1:9",
        **references,
    )
    for key, secret in secrets.items():
        (desk.folder / "keys" / key).write_text(f"{secret}\n", encoding="utf-8")
    environment = {variables[key]: secret for key, secret in secrets.items()} if kind == "env" else {}
    environment |= {"CANARY_TOKEN": "environment-canary-3333", "PGPASSWORD": LIBPQ}
    code, said = desk.run(notebook(*SERVERS), "--log-output", **environment)
    assert code == 1, said
    everything = desk.everything() + said
    assert everything.count("password authentication failed") >= 3, "libpq was asked, and its words are in the record"
    assert everything.count("refuses the user or the password") >= 1
    assert everything.count("invalid username-password pair") >= 2
    assert [form for secret in (*secrets.values(), LIBPQ) for form in forms(secret) if form in everything] == []
    assert "canary/" not in everything, "in no other form, either"
    for reference in (*references.values(), "env:PGPASSWORD"):
        assert f"[secret {reference}]" in everything


MISTYPED = {  # keys of params whose value holds a secret that was typed into it
    "a URL with a password": ("source_database", "postgresql://spark:typed-CANARY@127.0.0.1/spark"),
    "of SQLAlchemy": ("source_database", "postgresql+psycopg2://spark:typed-CANARY@127.0.0.1/spark"),
    "with a slash": ("source_database", "postgresql://spark:typed/CANARY@127.0.0.1/spark"),
    "with a space": ("source_database", "postgresql://spark:typed CANARY@127.0.0.1/spark"),
    "as an option": ("source_database", "postgresql://spark@127.0.0.1/spark?password=typed-CANARY"),
    "as libpq writes it": ("source_database", "host=127.0.0.1 dbname=spark password=typed-CANARY"),
    "of the cache": ("source_cache", "redis://:typed-CANARY@127.0.0.1/0"),
    "of the cache with a slash": ("source_cache", "redis://:typed/CANARY@127.0.0.1/0"),
    "of the jobs as an option": ("source_jobs", "redis://127.0.0.1/1?password=typed-CANARY"),
    "of the Worker": ("worker_url", "https://typed CANARY@worker.example.com"),
    "a token as an option": ("worker_url", "https://worker.example.com/?token=typed-CANARY"),
    "of the bucket": ("r2_endpoint", "https://access:typed CANARY@storage.example.com"),
    "instead of a folder": ("source_files", "postgresql://spark:typed CANARY@127.0.0.1/spark"),
    **{f"instead of a reference in {key}": (key, "typed-CANARY") for key in KEYS},
}


@pytest.mark.parametrize("mistake", MISTYPED)
def test_a_secret_that_was_typed_into_the_params_is_refused_and_not_repeated(mistake: str) -> None:
    key, value = MISTYPED[mistake]
    with pytest.raises(WrongUse) as refused:
        params_from({**PARAMS, key: value})
    assert "CANARY" not in "".join(traceback.format_exception(refused.value))
    assert any(key in problem.object for problem in getattr(refused.value, "problems", ()))


def test_no_kernel_starts_with_a_secret_among_its_parameters(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk", source_database=MISTYPED["with a slash"][1])
    code, said = desk.run(notebook("print('never')"), CANARY_TOKEN="environment-canary-3333")
    assert code == 1, said
    assert "source_database: the value is not allowed" in said
    assert "CANARY" not in said
    assert list((desk.folder / "out").iterdir()) == []


def test_a_copy_that_papermill_writes_to_a_bucket_holds_no_canary(
    tmp_path: Path, runtime: Runtime, r2_client: Any, bucket: str
) -> None:
    """papermill's own way to s3://, into the real local R2: its keys in the environment are canaries themselves."""
    desk = Desk(tmp_path / "desk")
    keys = {"AWS_ACCESS_KEY_ID": runtime.access_key.reveal(), "AWS_SECRET_ACCESS_KEY": runtime.secret_key.reveal()}
    settings = {"BOTO3_ENDPOINT_URL": runtime.s3, "AWS_DEFAULT_REGION": "auto"}
    settings |= {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "CANARY_TOKEN": CANARIES["environment"]}
    made = notebook("import os\nprint(os.environ['AWS_SECRET_ACCESS_KEY'], os.environ['CANARY_TOKEN'])", "1 / 0")
    (desk.folder / "in.ipynb").write_text(nbformat.writes(made), encoding="utf-8")
    done = subprocess.run(
        [PAPERMILL, "in.ipynb", f"s3://{bucket}/records/01.ipynb", "-f", "params.yaml", "--no-progress-bar"],
        cwd=desk.folder,
        env={**os.environ, "TOWPATH_ROOT": str(desk.folder), **keys, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    said = done.stdout + done.stderr
    assert "ZeroDivisionError" in said
    copy = r2_client.get_object(Bucket=bucket, Key="records/01.ipynb")["Body"].read().decode()
    assert "[secret env:CANARY_TOKEN]" in copy
    for canary in (*keys.values(), CANARIES["environment"]):
        assert canary not in copy
        assert canary not in said
    assert "ZeroDivisionError" in copy
