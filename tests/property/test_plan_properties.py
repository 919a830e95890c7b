"""Params under random input: they survive a round trip, and nothing but a refusal ever comes out of a bad file."""

from __future__ import annotations

import contextlib
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from towpath.plan.inline import secret_kind
from towpath.plan.mapping import load_mapping
from towpath.plan.params import Params, load_params, params_from
from towpath.plan.problems import PlanRefused
from towpath.plan.runbook import load_runbook
from towpath.plan.waivers import load_waivers

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
PATHS = st.lists(
    st.text("abcdefghij äö'\"#:-_", min_size=1, max_size=8).map(str.strip).filter(bool), min_size=1, max_size=4
)
ENVIRONMENT_NAMES = st.text(string.ascii_uppercase + "_", min_size=1, max_size=16)
PORTS = st.integers(1, 65535)
VALID = st.fixed_dictionaries(
    {
        "system": NAMES,
        "environment": st.just("local"),
        "source_database": PATHS.map("/".join).filter(lambda p: secret_kind(p) is None),
        "source_password": st.just("") | ENVIRONMENT_NAMES.map("env:{}".format),
        "source_cache": st.just(""),
        "source_cache_password": st.just("") | ENVIRONMENT_NAMES.map("env:{}".format),
        "source_jobs": st.just(""),
        "source_jobs_password": st.just("") | ENVIRONMENT_NAMES.map("env:{}".format),
        "source_files": PATHS.map("/".join).filter(lambda p: secret_kind(p) is None),
        "source_maintenance_switch": NAMES,
        "source_closed_cleanly": st.booleans(),
        "cloudflare_api": PORTS.map("http://127.0.0.1:{}/api".format),
        "cloudflare_account": st.just(""),
        "cloudflare_token": st.just(""),
        "d1_database_id": NAMES,
        "d1_database_name": NAMES,
        "d1_plan": st.sampled_from(["free", "paid"]),
        "r2_endpoint": PORTS.map("http://[::1]:{}".format),
        "r2_bucket": st.text("abcdefghij-", min_size=1, max_size=20).map("a{}z".format),
        "r2_access_key": ENVIRONMENT_NAMES.map("env:{}".format),
        "r2_secret_key": ENVIRONMENT_NAMES.map("env:{}".format),
        "kv_namespace_id": st.just("") | NAMES,
        "worker_url": st.just("") | PORTS.map("http://127.0.0.1:{}".format),
        "worker_token": st.just("") | ENVIRONMENT_NAMES.map("env:{}".format),
        "source_url": st.just("") | PORTS.map("http://127.0.0.1:{}".format),
        "gateway_url": st.just(""),
        "gateway_namespace_id": st.just("") | NAMES,
        "gateway_database_id": st.just("") | NAMES,
        "ramp": st.sampled_from(["100", "10 50 100", "1 2 3 99 100"]),
        "ramp_bake_seconds": st.integers(0, 10**6),
        "ramp_requests": st.integers(1, 10**6),
        "ramp_errors_percent": st.floats(0, 100),
        "ramp_p95_ms": st.integers(1, 10**6),
        "load_users": st.integers(0, 10_000),
        "load_seconds": st.integers(1, 10**6),
        "load_p95_ms": st.integers(1, 10**6),
        "load_errors_percent": st.floats(0, 100),
        "target_p95_ms": st.integers(1, 10**6),
        "target_errors_percent": st.floats(0, 100),
        "dns_api": st.just(""),
        "dns_zone_id": st.just("") | st.just("0123456789abcdef" * 2),
        "dns_token": st.just("") | ENVIRONMENT_NAMES.map("env:{}".format),
        "status_webhook": st.just("") | ENVIRONMENT_NAMES.map("env:{}".format),
        "approved_plan": st.sampled_from(["", "rehearsal", "ab" * 32]),
        "approved_target": st.just(""),
        "run_id": st.sampled_from(["", "20260131T081500Z-1a2b"]),
    }
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(), st.binary(max_size=8)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(values=VALID)
def test_valid_params_survive_yaml_and_json(values: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    params = load_params(path)
    assert params.model_dump() == values
    assert Params.model_validate_json(params.model_dump_json()) == params


@FEW
@given(values=VALID, key=st.sampled_from(sorted(Params.model_fields)), value=TREES)
def test_one_wrong_value_is_refused_or_meant(values: dict[str, Any], key: str, value: Any) -> None:
    try:
        params = params_from({**values, key: value})
    except PlanRefused as error:
        refused = error
    else:
        assert getattr(params, key) == value
        assert type(getattr(params, key)) is type(value)
        return
    assert all("\n" not in problem.text and problem.key for problem in refused.problems)


@FEW
@given(text=st.one_of(st.text(max_size=300), TREES.map(lambda tree: yaml.safe_dump(tree))))
def test_random_files_are_refused_and_never_crash(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(PlanRefused):
        load_params(path)
    for load in (lambda: load_mapping(path, "mapping.yaml", "toy"), lambda: load_waivers(path, "waivers.yaml")):
        with contextlib.suppress(PlanRefused):  # an empty file is valid
            load()


@FEW
@given(middle=st.text(max_size=200))
def test_random_runbooks_are_refused_and_never_crash(middle: str, tmp_path: Path) -> None:
    path = tmp_path / "runbook.md"
    path.write_bytes(f"---\n{middle}\n---\n# x\n".encode("utf-8", "surrogatepass"))
    with pytest.raises(PlanRefused):
        load_runbook(path, "runbook.md", "toy")
