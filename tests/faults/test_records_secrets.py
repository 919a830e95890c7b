"""A canary in every place where a secret can be, and a search through every file of the output for it."""

from __future__ import annotations

import base64
from pathlib import Path

from helpers.records import Desk, notebook

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
