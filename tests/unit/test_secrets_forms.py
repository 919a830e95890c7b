"""Secrets in disguise: in base64 at any place, broken over lines, in a home folder, by their names, in a traceback."""

from __future__ import annotations

import base64
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from towpath import secrets
from towpath.cli import command
from towpath.cli.command import run_command
from towpath.plan.params import params_from
from towpath.plan.plan import make_plan
from towpath.runs.folder import RunFolder
from towpath.runs.raw import RawOutput
from towpath.runs.redaction import learn, redact
from towpath.runs.wallets import remember_wallets
from towpath.secrets import remember, scrub


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(secrets, "_known", {})
    for name in ("PGPASSFILE", "PGSERVICEFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


@given(value=VALUES, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_no_base64_text_that_holds_a_secret_survives(value: str, before: bytes, after: bytes) -> None:
    secrets._known.clear()
    remember(value, "env:X")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        carried = encode(before + value.encode() + after).decode()
        left = scrub(f"Proxy: {carried}.")
        assert "[secret env:X]" in left
        rest = left.removeprefix("Proxy: ").removesuffix(".").replace("[secret env:X]", "")
        assert len(rest) <= len(encode(before)) + len(encode(after)) + 4, "only what stands around is left"


@given(value=VALUES, width=st.integers(3, 12), indent=st.sampled_from(["", "  ", "\t"]))
def test_a_secret_that_is_broken_over_lines_is_one(value: str, width: int, indent: str) -> None:
    secrets._known.clear()
    remember(value, "env:X")
    pieces = [value[at : at + width] for at in range(0, len(value), width)]
    for broken in (f"\n{indent}".join(pieces), f"\r\n{indent}".join(pieces), f'"\n{indent}"'.join(pieces)):
        assert scrub(f"before {broken} after") == "before [secret env:X] after"
    lines = "\n".join([f"first {value[:5]}", "an ordinary line", value[5:]])
    assert scrub(lines) == lines, "other words stand between"


def test_what_is_not_secret_keeps_its_line_breaks() -> None:
    remember("the-real-secret", "env:X")
    text = textwrap.dedent("""
        "a list",
        'of words'
        \tand the-real-\tsecret""")
    assert scrub(text) == text
    assert scrub("the-real-\nsecret\nnext\n") == "[secret env:X]\nnext\n"


WALLETS = {
    ".pgpass": ("# a comment:a:b:c:not-a-secret-1\nhost:5432:db:user:canary\\:with\\\\odd-1\n", "canary:with\\odd-1"),
    ".pg_service.conf": ("[one]\nhost=h\npassword=canary-2222\n", "canary-2222"),
    ".aws/credentials": ("[default]\naws_secret_access_key = canary/3333+x\n", "canary/3333+x"),
    ".aws/config": ("[default]\naws_session_token=canary-4444==\n", "canary-4444=="),
    ".netrc": ("machine h\n  login joan\n  password canary-5555\n", "canary-5555"),
    ".wrangler/config/default.toml": ('oauth_token = "canary-6666"\nrefresh_token = "canary-7777"\n', "canary-7777"),
}
SETTINGS = {".pgpass": "PGPASSFILE", ".pg_service.conf": "PGSERVICEFILE", ".netrc": "NETRC"}
SETTINGS |= {".aws/credentials": "AWS_SHARED_CREDENTIALS_FILE", ".aws/config": "AWS_CONFIG_FILE"}


@pytest.mark.parametrize("name", WALLETS)
@pytest.mark.parametrize("is_named", [False, True])
def test_what_a_tool_keeps_in_the_home_folder_is_known(
    name: str, is_named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, secret = WALLETS[name]
    path = tmp_path / ("elsewhere" if is_named else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if is_named:
        if name not in SETTINGS:
            return
        monkeypatch.setenv(SETTINGS[name], str(path))
    else:
        monkeypatch.setenv("HOME", str(tmp_path))
    remember_wallets()
    assert scrub(f"FATAL: {secret}!") == f"FATAL: [secret file:{name}]!"
    assert scrub("not-a-secret-1") == "not-a-secret-1"


def test_a_home_folder_that_cannot_be_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pgpass").mkdir()
    (tmp_path / ".netrc").write_bytes(b"\xff\xfe password \x00" + bytes(2 << 20))
    remember_wallets()
    monkeypatch.delenv("HOME")
    remember_wallets()
    assert secrets._known == {}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("connection failed: host=h password=canary-1 dbname=d", "password=[secret by its name] dbname=d"),
        ("ALTER ROLE joan PASSWORD 'canary-1';", "PASSWORD '[secret by its name]';"),
        ("LINE 1: CREATE USER x IDENTIFIED BY 'canary-1'", "IDENTIFIED BY '[secret by its name]'"),
        ("GET /x?token=canary-1&page=2", "token=[secret in a URL]&page=2"),
        ("https://h/x?a=1&X-Amz-Signature=canary-1", "X-Amz-Signature=[secret in a URL]"),
        ("Authorization: Basic Y2FuYXJ5", "[secret in a header]"),
    ],
)
def test_what_is_called_a_password_is_one(said: str, shown: str) -> None:
    left = redact(said)
    assert "canary-1" not in left
    assert "Y2FuYXJ5" not in left
    assert shown in left


@pytest.mark.parametrize(
    "ordinary",
    [
        "source_password: env:SPARK_POSTGRESQL_PASSWORD",
        "connect(address, password=secret.reveal())",
        "the server refuses the user or the password",
        "| users | password_hash | TEXT |",
        "r2_access_key = 'file:build/local/r2'",
    ],
)
def test_ordinary_words_about_passwords_stay(ordinary: str) -> None:
    assert redact(ordinary) == ordinary


def test_references_of_settings_are_known_and_do_not_change_the_plan(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOWPATH_RECORDS_ACCESS_KEY=env:NAME, and params that say env:NAME too: only what NAME holds is a secret."""
    toy.write_params(r2_access_key="env:SHARED_NAME", approved_plan="rehearsal")
    monkeypatch.setenv("TOWPATH_RECORDS_ACCESS_KEY", "env:SHARED_NAME")
    monkeypatch.setenv("TOWPATH_SIGNING_KEY", "env:PEN")
    monkeypatch.setenv("SHARED_NAME", "canary-of-the-place")
    monkeypatch.setenv("PEN", "canary-of-the-pen")
    plan = make_plan(params_from(toy.params(r2_access_key="env:SHARED_NAME")), toy.root)
    learn({}, toy.root)
    folder = RunFolder.create(toy.root, plan)
    assert (folder.path / "plan.json").read_text(encoding="utf-8") == plan.canonical + "\n"
    assert scrub("canary-of-the-pen") == "[secret env:PEN]"
    assert "canary" not in scrub("canary-of-the-place")


@pytest.mark.usefixtures("toy")
def test_an_error_that_nobody_expected_is_told_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError(f"no such thing: {os.environ['TOY_TOKEN']} postgres://joan:typed-canary@h/d")

    monkeypatch.setenv("TOY_TOKEN", "canary-in-a-traceback")
    monkeypatch.setattr(command, "make_plan", broken)
    assert run_command(["plan", "toy", "--env", "local"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "[secret env:TOY_TOKEN]" in said
    assert "canary" not in said
    assert said.splitlines()[-1].startswith("towpath: RuntimeError, which Towpath did not expect. Next: ")


@pytest.mark.usefixtures("toy")
def test_a_line_of_wrong_use_repeats_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TOY_TOKEN", "canary-as-an-argument")
    assert run_command(["plan", "canary-as-an-argument", "--env", "local"]) == 3
    assert "canary" not in capsys.readouterr().err


def test_raw_output_is_passed_on_line_by_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    remember("canary-that-is-raw", "env:X")
    with RawOutput() as raw:
        for piece in (b"one canary-", b"that-is-raw two\nthree", b"\xff\n", b"x" * 70_000, b"\nend canary-that-"):
            os.write(raw.descriptor, piece)
    said = capsys.readouterr().err
    assert said.startswith("one [secret env:X] two\nthree�\nxxx")
    assert said.count("x" * 1_000) == 70
    assert said.endswith("\nend [secret, cut off]")
