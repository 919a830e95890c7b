"""Params: what is refused, and that the refusal names file, line, key and what is allowed, and no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.toy import STAGING

from towpath.errors import WrongUse
from towpath.plan.addresses import is_loopback
from towpath.plan.inline import secret_kind
from towpath.plan.params import Params, load_params, params_from
from towpath.plan.problems import PlanRefused

HASH = "5f" * 32
REMOTE = {
    **STAGING,
    "r2_access_key": "env:R2_ACCESS_KEY_ID",
    "r2_secret_key": "env:R2_SECRET_ACCESS_KEY",
}


def problems(path: Path) -> list[str]:
    with pytest.raises(PlanRefused) as caught:
        load_params(path)
    assert caught.value.exit_code == 3
    texts = [problem.text for problem in caught.value.problems]
    assert all("\n" not in text for text in texts)
    return texts


def test_a_params_file_becomes_a_frozen_value(toy: Any) -> None:
    params = load_params(toy.write_params())
    assert params == params_from(toy.params())
    assert params.on_this_machine
    assert "approved_plan" not in params.planned()
    with pytest.raises(ValueError, match="frozen"):
        params.system = "other"  # type: ignore[misc]


def test_remote_params_are_valid(toy: Any) -> None:
    params = load_params(toy.write_params("staging", **REMOTE))
    assert not params.on_this_machine
    assert repr(params.secret("cloudflare_token", toy.root)) == "Secret(env:CLOUDFLARE_API_TOKEN)"


def test_the_projects_own_params_are_valid(root: Path) -> None:
    for environment in ("local", "staging", "production"):
        params = load_params(root / "params" / "joan" / f"{environment}.yaml")
        assert (params.system, params.environment) == ("joan", environment)
        assert params.approved_plan == ("rehearsal" if environment == "local" else "")


@pytest.mark.parametrize(
    ("changes", "line", "words"),
    [
        ({"d1_plann": "free"}, 47, ["PL002", "d1_plann: unknown key", "did you mean d1_plan?"]),
        ({"zzz": 1}, 47, ["PL002", "zzz: unknown key", "known here: system, environment"]),
        ({"d1_plan": None}, 0, ["PL004", "d1_plan: the key is missing", "add it: allowed: free or paid"]),
        ({"d1_plan": "gold"}, 12, ["PL003", "d1_plan: 'gold' is not allowed", "allowed: free or paid"]),
        ({"d1_plan": 3}, 12, ["PL003", "3 (int) is not allowed", "put it in quotes"]),
        ({"source_closed_cleanly": "no"}, 6, ["PL003", "'no' is not allowed", "true or false"]),
        ({"source_database": "../../etc/passwd"}, 3, ["PL003", "source_database", "without .."]),
        ({"system": "../joan"}, 1, ["PL003", "system"]),
        ({"environment": "prod"}, 2, ["PL003", "local, rehearsal, staging or production"]),
        ({"cloudflare_api": "ftp://127.0.0.1/"}, 7, ["PL003", "address of a server"]),
        ({"cloudflare_api": "http://10.0.0.1/"}, 7, ["PL003", "http is allowed on this machine only"]),
        ({"cloudflare_api": "http://127.0.0.1:99999/"}, 7, ["PL003", "cloudflare_api"]),
        ({"r2_bucket": "A_bucket"}, 14, ["PL003", "r2_bucket", "3 to 63 lower-case"]),
        ({"r2_access_key": ""}, 15, ["PL005", "r2_access_key"]),
        ({"approved_plan": "yes"}, 17, ["PL003", "approved_plan", "64 hex digits"]),
        ({"run_id": "../x"}, 19, ["PL003", "run_id"]),
        ({"source_files": ["a"]}, 4, ["PL003", "a list is not allowed"]),
    ],
)
def test_a_refusal_names_file_line_key_and_what_is_allowed(
    toy: Any, changes: dict[str, Any], line: int, words: list[str]
) -> None:
    (text,) = problems(toy.write_params(**changes))
    where = f"params/toy/local.yaml:{line} " if line else "params/toy/local.yaml "
    assert where in text
    assert all(word in text for word in words), text


def test_every_problem_is_named_at_once(toy: Any) -> None:
    texts = problems(toy.write_params(d1_plann="free", d1_plan="gold", r2_bucket=None))
    assert sorted(text.split()[0] for text in texts) == ["PL002", "PL003", "PL004"]


@pytest.mark.parametrize("key", ["cloudflare_token", "r2_access_key", "r2_secret_key"])
def test_a_secret_where_a_reference_belongs_is_refused_and_not_repeated(toy: Any, key: str) -> None:
    canary = "hunter2-CANARY"
    (text,) = problems(toy.write_params(**{key: canary}))
    assert "PL005" in text
    assert key in text
    assert canary not in text


@pytest.mark.parametrize(
    "canary",
    [
        "https://user:CANARYpass@db.example.com/x",
        "AKIA" + "CANARY7890ABCDEF",
        "-----BEGIN RSA PRIVATE KEY----- CANARY",
        "v1.0-" + "Ca9naRy8xQ2zLm4pTs6vWb1nKd3eGh5jR0u",
        "0f" * 8 + "9e" * 24,
        "ghp_CANARY0123456789abcdef",
    ],
)
def test_what_looks_like_a_secret_is_refused_in_any_key_and_not_repeated(toy: Any, canary: str) -> None:
    for key in ("source_files", "unheard_of"):
        for text in problems(toy.write_params(**{key: canary})):
            assert "CANARY" not in text
            assert canary not in text
        assert any("PL005" in text for text in problems(toy.write_params(**{key: canary})))


@pytest.mark.parametrize(
    "ordinary",
    [
        "build/joan/joan.sqlite",
        "/srv/applications/joan-production-2026/attachments_of_all_the_clients/and_projects",
        "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
        "http://127.0.0.1:8787/cdn-cgi/local/explorer/api",
        "env:JOAN_PRODUCTION_CLOUDFLARE_API_TOKEN",
        "python -m runbooks.joan.legacy live --data build/joan",
        "11111111-2222-4333-8444-555555555555",
    ],
)
def test_ordinary_values_are_no_secrets(ordinary: str) -> None:
    assert secret_kind(ordinary) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x 1\nb: *x\n", "anchors"),
        ("a: 1\na: 2\n", "twice"),
        ("a: .inf\n", "infinite"),
        ("a: .nan\n", "infinite"),
        ("a: 1.0e+999\n", "infinite"),
        ("a: !!python/object/apply:os.system [id]\n", "tags"),
        ("a: 1\n---\na: 2\n", "second YAML document"),
        ("1: x\n", "no text"),
        ("<<: {a: 1}\n", "no text"),
        ("a: [1\n", "not YAML"),
        ("a: \x07\n", "not YAML"),
        ("a: 2024-99-99\n", "out of range"),
        ("a: " + "[" * 30 + "]" * 30, "nested"),
        ("just text", "holds no keys"),
        ("", "holds no keys"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(toy: Any, text: str, words: str) -> None:
    path = toy.write_params()
    path.write_text(text, encoding="utf-8")
    (found,) = problems(path)
    assert "PL006" in found
    assert words in found


def test_a_file_that_is_missing_or_no_text_is_refused(toy: Any) -> None:
    assert "PL008" in problems(toy.root / "params" / "toy" / "none.yaml")[0]
    path = toy.write_params()
    path.write_bytes(b"system: \xff\xfe\n")
    assert "is not UTF-8" in problems(path)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"environment": "staging"},
        {"environment": "production"},
        {"r2_endpoint": "https://example.r2.cloudflarestorage.com"},
        {**REMOTE, "environment": "local", "approved_plan": "rehearsal"},
    ],
)
def test_rehearsal_is_for_this_machine_only(toy: Any, changes: dict[str, Any]) -> None:
    (text,) = problems(toy.write_params(**{"approved_plan": "rehearsal", **changes}))
    assert "PL007" in text
    assert load_params(toy.write_params(**{**changes, "approved_plan": HASH})).approved_plan == HASH


@pytest.mark.parametrize("key", ["cloudflare_account", "cloudflare_token", "d1_database_id"])
def test_a_remote_address_needs_account_token_and_a_real_database(toy: Any, key: str) -> None:
    wrong = "toy-local" if key == "d1_database_id" else ""
    (text,) = problems(toy.write_params(**{**REMOTE, key: wrong}))
    assert f"{key}: a remote address needs it" in text


def test_loopback_is_this_machine_and_no_name_that_looks_like_it() -> None:
    assert all(map(is_loopback, ("http://127.0.0.1:1/", "http://127.9.9.9", "http://[::1]:8787/x", "http://localhost")))
    others = ("http://127.0.0.1.example.com", "https://localhost.example", "http://example.com@10.0.0.1", "http:///x")
    assert not any(map(is_loopback, others))


def test_params_from_a_notebook_name_the_notebook(toy: Any) -> None:
    with pytest.raises(PlanRefused, match="parameters of 03-export d1_plan: 'gold'"):
        params_from(toy.params(d1_plan="gold"), "parameters of 03-export")


def test_every_key_says_what_is_allowed_and_is_documented(root: Path) -> None:
    page = (root / "docs" / "params.md").read_text(encoding="utf-8")
    for key, field in Params.model_fields.items():
        assert field.description, key
        assert f"| `{key}` |" in page, key


def test_params_survive_yaml(toy: Any) -> None:
    params = load_params(toy.write_params())
    assert params_from(yaml.safe_load(yaml.safe_dump(params.model_dump()))) == params


def test_wrong_use_is_what_callers_catch(toy: Any) -> None:
    with pytest.raises(WrongUse):
        load_params(toy.write_params(d1_plan="gold"))
