"""Rows about ceremonies and AI workflows."""

from __future__ import annotations

import datetime as dt
import uuid
from random import Random
from typing import Any

from runbooks.joan.legacy.generator.batches import Batch
from runbooks.joan.legacy.generator.cast import Cast, Row, aware, moment, money, new_id
from runbooks.joan.legacy.generator.texts import Texts

TEMPLATES = 6  # shared by everybody, of ceremonies and of workflows each
MODELS = ("gpt-4-turbo-preview", "claude-3-sonnet-20240229", "llama3:8b")
KINDS = ("question", "checklist", "timer", "review")
# Scalars too: SQLite turns the JSON texts `4096` and `0.7` into numbers, for the column's type is called JSON.
CONFIGS: tuple[tuple[str, Any], ...] = (
    ("temperature", 0.7),
    ("max_tokens", 4096),
    ("model", "gpt-4-turbo-preview"),
    ("stream", True),
    ("fallback", None),
    ("limits", {"per_day": 1_000, "cost": 1.10, "stop": ["\n\n", "END"]}),
)


def shared_id(seed: int, kind: str, number: int) -> uuid.UUID:
    """The id of a shared template by number."""
    return new_id(Random(f"{seed}:{kind}:{number}"))


def add_shared(batch: Batch, seed: int, texts: Texts) -> None:
    """Templates that belong to nobody in particular."""
    rng = Random(f"{seed}:shared")
    for number in range(TEMPLATES):
        created = moment(rng)
        times = {"created_at": created, "updated_at": created}
        ceremony = shared_id(seed, "ceremony", number)
        batch.add(
            "ceremony_templates",
            [
                {
                    "id": ceremony,
                    "user_id": None,
                    "name": texts.title(rng),
                    "description": texts.maybe(rng),
                    "schedule": rng.choice((None, {"cron": "0 9 * * 1-5", "tz": "Europe/Berlin"})),
                    "is_active": number != 5,
                    **times,
                }
            ],
        )
        batch.add(
            "ceremony_components",
            [
                {
                    "template_id": ceremony,
                    "position": position,
                    "kind": kind,
                    "prompt": texts.text(rng),
                    "options": rng.choice((None, ["yes", "no"], {"seconds": 300})),
                }
                for position, kind in enumerate(KINDS)
            ],
        )
        batch.add(
            "ai_workflow_templates",
            [
                {
                    "id": shared_id(seed, "workflow", number),
                    "name": f"workflow-{number // 2}",
                    "version": 1 + number % 2,
                    "definition": {"steps": [{"model": model, "t": 0.1 + 0.2} for model in MODELS], "note": "ünï\n"},
                    "is_enabled": number % 2 == 1,
                    **times,
                }
            ],
        )


def add_ceremonies(batch: Batch, cast: Cast) -> None:
    """Sessions held."""
    rng = cast.rng
    for _ in range(cast.scale.share(0.05)):
        started = aware(rng)
        batch.add(
            "ceremony_sessions",
            [
                {
                    "id": new_id(rng),
                    "template_id": shared_id(cast.seed, "ceremony", rng.randrange(TEMPLATES)),
                    "user_id": cast.user,
                    "started_at": started,
                    "finished_at": rng.choice((None, started + dt.timedelta(seconds=rng.random() * 3_600))),
                    "answers": {str(position): cast.texts.text(rng) for position in range(3)},
                    "summary": cast.texts.maybe(rng),
                    **cast.times(),
                }
            ],
        )


def execution_row(cast: Cast, trace: int | None) -> Row:
    """One execution with its provider's trace number."""
    rng = cast.rng
    started = aware(rng)
    return {
        "id": new_id(rng),
        "template_id": shared_id(cast.seed, "workflow", rng.randrange(TEMPLATES)),
        "user_id": cast.user,
        "task_id": rng.choice((None, rng.choice(cast.tasks))),
        "provider_trace_id": trace,
        "status": rng.choice(("succeeded", "succeeded", "failed", "running", "queued")),
        "input": {"task": cast.texts.title(rng), "retries": rng.randrange(3)},
        "output": rng.choice((None, {"text": cast.texts.text(rng)}, "plain text")),
        "cost_usd": rng.choice((None, money(rng, 5) / 1_000)),
        "started_at": started,
        "finished_at": rng.choice((None, started + dt.timedelta(seconds=rng.random() * 60))),
    }


def metric_row(rng: Random, execution: uuid.UUID | None) -> Row:
    """One line of the metrics log."""
    return {
        "execution_id": execution,
        "name": rng.choice(("latency_seconds", "tokens", "cost_usd")),
        "value": rng.choice((None, rng.random() * 10, float(rng.randrange(5_000)))),
        "labels": rng.choice((None, {"model": rng.choice(MODELS)}, {})),
        "recorded_at": moment(rng),
    }


def add_workflows(batch: Batch, cast: Cast) -> None:
    """Executions, steps, metrics, configuration, prompts."""
    rng, texts, scale = cast.rng, cast.texts, cast.scale
    executions = [execution_row(cast, rng.randrange(2**52)) for _ in range(scale.share(0.1))]
    batch.add("ai_workflow_executions", executions)
    batch.add(
        "ai_workflow_steps",
        [
            {
                "id": new_id(rng),
                "execution_id": executions[number % len(executions)]["id"],
                "position": number,
                "model": rng.choice(MODELS),
                "prompt": texts.markdown(rng, 2),
                "response": None if rng.random() < 0.1 else texts.markdown(rng, 3),
                "tokens": rng.randrange(8_000),
                "seconds": rng.choice((None, rng.expovariate(0.5))),
            }
            for number in range(scale.share(0.25))
        ],
    )
    metrics = [metric_row(rng, rng.choice(executions)["id"]) for _ in range(scale.share(0.22))]
    batch.add("ai_workflow_metrics", [*metrics, metrics[0]])
    for key, value in (CONFIGS[(cast.index + offset) % len(CONFIGS)] for offset in range(2)):
        batch.add("ai_workflow_configs", [{"user_id": cast.user, "key": key, "value": value}])
    batch.add(
        "prompt_library",
        [
            {
                "id": new_id(rng),
                "user_id": rng.choice((None, cast.user)),
                "title": texts.title(rng),
                "body": texts.markdown(rng, 2),
                "category": rng.choice((None, "Writing", "writing", "WRITING", "Straße")),
                "tags": rng.choice((None, ["a", "b"])),
                "is_public": rng.random() < 0.2,
                "usage_count": rng.randrange(10**9),
                **cast.times(),
            }
            for _ in range(scale.share(0.05))
        ],
    )
