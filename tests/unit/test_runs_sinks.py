"""Every source of secrets against every place where a run leaves text: a table, in one run of `towpath run`.

Sources: where a secret can come from.  Forms: how texts carry it.  Sinks: the notebook, its page, the index, the
journal, logs, results, seals (decoded), the rehearsal's log, the terminal, and the place where records are kept.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

# Each is followed by characters that URLs, JSON, HTML and Python write in ways of their own.
ODD = """-CANARY/%&<'"+ 7"""
SOURCES = {
    "environment": "in-the-environment" + ODD,  # a name that says what it holds
    "reference": "by-a-reference" + ODD,  # params name it, and its own name says nothing
    "file": "in-a-file" + ODD,
    "pgpass": "in-pgpass-CANARY-11",
    "pgservice": "in-pg-service-CANARY-12",
    "aws": "in-aws-CANARY-13/+abc",
    "netrc": "in-netrc-CANARY-14",
    "wrangler": "in-wrangler-CANARY-15",
    "place": "of-the-place-CANARY-16",  # TOWPATH_RECORDS_SECRET_KEY refers to it
}
REVEAL = """import base64, html, json, os, pprint, re, subprocess, sys, textwrap, urllib.parse
from pathlib import Path
from IPython.display import HTML, JSON, Markdown, display
from towpath.runs.run import open_run
run = open_run("01-inventory", vars())
run.identify(source="s", target="t")
home = Path(os.environ["HOME"])
every = {
    "environment": os.environ["LEGACY_TOKEN"],
    "reference": os.environ["LEDGER"],
    "file": (run.root / "keys/secret").read_text().strip(),
    "pgpass": (home / ".pgpass").read_text().strip().split(":")[4],
    "pgservice": re.search("password=(.*)", (home / ".pg_service.conf").read_text())[1],
    "aws": re.search("aws_secret_access_key *= *(.*)", (home / ".aws/credentials").read_text())[1],
    "netrc": (home / ".netrc").read_text().split()[5],
    "wrangler": re.search('oauth_token = "(.*)"', (home / ".config/.wrangler/config/default.toml").read_text())[1],
    "place": os.environ["STOREROOM"],
}
def forms(value):
    raw = value.encode()
    yield from (value, repr(value), repr(raw), json.dumps(value), html.escape(value), raw.hex())
    yield from (urllib.parse.quote(value), urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value))
    for before in ("", "a", "joan", "joan:"):
        yield base64.b64encode(before.encode() + raw + b"@").decode()
        yield base64.urlsafe_b64encode(before.encode() + raw).decode()"""
PRINTS = (
    """for value in every.values():
    for form in forms(value):
        print(form)
        print(form, file=sys.stderr)
    for piece in (value[:7], value[7:], "\\n"):
        sys.stdout.write(piece); sys.stdout.flush()
    os.write(2, f"raw {value}\\n".encode())
    os.write(1, f"raw {value}\\n".encode())
    subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1]); print(sys.argv[1], file=sys.stderr)", value])
    print(value[:9] + "\\n" + value[9:])
    print(textwrap.fill(value, 8, break_on_hyphens=False, drop_whitespace=False))
    pprint.pprint([value * 3], width=12)""",
    """for name, value in every.items():
    display(HTML(f"<b title={html.escape(value)!r}>{html.escape(value)}</b>"), JSON({name: [value, {value: 1}]}))
    display(Markdown(f"`{value}`"), metadata={"note": value})
    run.log("logged", value, *forms(value))
    run.write_json(f"note-{name}.json", {"note": value, value: [value]})
    run.check("TB401", "tables", value, value, value, True, next=value, keys=[value])
    run.number(value, 1, value)
    try:
        raise KeyError(f"caught {value}")
    except KeyError as error:
        run.log(error.__class__.__name__, error)
print("a wide text", "x" * 30_000, *every.values())""",
    """class Refused(Exception):
    def __init__(self):
        super().__init__(*every.values())
        self.headers = {"Authorization": "Basic " + base64.b64encode(b"joan:" + every["file"].encode()).decode()}
    def __str__(self):
        return f"FATAL: password={every['pgpass']} for {list(every.values())}; headers {self.headers}"
raise Refused()""",
)


def forms(value: str) -> set[str]:
    """The value as texts carry it: what is searched for."""
    raw = value.encode()
    found = {value, repr(value)[1:-1], json.dumps(value)[1:-1], raw.hex(), urllib.parse.quote(value, safe="")}
    for before in ("", "a", "joan", "joan:"):
        whole = base64.b64encode(before.encode() + raw).decode().rstrip("=")
        found.add(whole[4 * (len(before) // 3 + 1) : -4])
    return found


def home(folder: Path) -> dict[str, str]:
    """A home folder in which tools keep their secrets, and the environment of somebody who lives there."""
    files = {
        ".pgpass": f"127.0.0.1:5432:spark:spark:{SOURCES['pgpass']}\n",
        ".pg_service.conf": f"[spark]\nhost=127.0.0.1\npassword={SOURCES['pgservice']}\n",
        ".aws/credentials": f"[default]\naws_access_key_id = AKIACANARY00\naws_secret_access_key = {SOURCES['aws']}\n",
        ".netrc": f"machine example.org login joan password {SOURCES['netrc']}\n",
        ".config/.wrangler/config/default.toml": f'oauth_token = "{SOURCES["wrangler"]}"\n',
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
    return {
        "HOME": str(folder),
        "LEGACY_TOKEN": SOURCES["environment"],
        "LEDGER": SOURCES["reference"],
        "STOREROOM": SOURCES["place"],
        "TOWPATH_RECORDS_SECRET_KEY": "env:STOREROOM",
    }


def everything(*folders: Path) -> dict[str, str]:
    """Every file, as text; what an envelope carries in base64 is decoded beside it."""
    found = {}
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            text = path.read_bytes().decode("utf-8", "replace")
            if '"payload"' in text:
                text += base64.b64decode(json.loads(text)["payload"]).decode()
            found[path.relative_to(folder).as_posix()] = text
    return found


def test_no_source_reaches_any_sink(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One run that prints, shows, logs, notes and raises every secret in every form."""
    (toy.root / "keys").mkdir()
    (toy.root / "keys/secret").write_text(SOURCES["file"] + "\n", encoding="utf-8")
    toy.write_params(source_password="env:LEDGER", r2_secret_key="file:keys/secret", source_database=SERVER)
    toy.notebook("01-inventory", REVEAL, *PRINTS)
    rehearse = "python -c \"import os; print(os.environ['LEDGER'], os.environ['LEGACY_TOKEN'])\""
    runbook = (toy.root / "runbooks/toy/runbook.md").read_text(encoding="utf-8")
    step = "{phase: 01-inventory, gate: none, minutes: 1}"
    assert step in runbook
    runbook = runbook.replace(
        step, f"{{phase: 01-inventory, gate: none, minutes: 1, rehearse_before: {json.dumps(rehearse)}}}"
    )
    toy.write("runbook.md", runbook)
    for phase in ("02-schema", "03-export"):
        toy.notebook(phase, "1")
    environment = {**os.environ, **home(tmp_path_factory.mktemp("home")), "TOWPATH_ROOT": str(toy.root)}
    place = tmp_path_factory.mktemp("place")

    said = ""
    for words in (
        ["run", "toy", "--env", "local", "--phase", "01-inventory", "--records", str(place)],
        ["status"],
        ["list", "--json"],
        ["list", "--records", str(place)],
        ["plan", "toy", "--env", "local"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "towpath", *words],
            env=environment,
            cwd=toy.root,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said += done.stdout + done.stderr
    sinks = {**everything(toy.root / "outputs", place), "the terminal": said}
    (run,) = (toy.root / "outputs/toy/local").glob("*Z-*")
    names = {path.name for path in run.rglob("*")}
    assert {"01-inventory.ipynb", "01-inventory.html", "01-inventory.log", "01-inventory.dsse.json"} <= names
    assert {"01-inventory.rehearse.log", "journal.jsonl", "note-aws.json"} <= names
    leaks = sorted(
        {(s, sink) for s, v in SOURCES.items() for form in forms(v) for sink, text in sinks.items() if form in text}
    )
    assert leaks == []
    marked = "".join(sinks.values())
    assert {s for s in SOURCES if "CANARY" in SOURCES[s]} == set(SOURCES)
    rest = [(sink, text[max(0, at - 60) : at + 20]) for sink, text in sinks.items() if (at := text.find("CANARY")) >= 0]
    assert rest == [], "in no other form, either"
    assert "Refused" in marked, "the error itself is told"
    assert "[secret env:LEDGER]" in marked


SERVER = "postgresql://spark@127.0.0.1:1/spark"
