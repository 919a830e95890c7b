"""What mapping.yaml says about the surfaces beside the tables: objects, keys, jobs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from towpath.plan.strict import Strict


class Reference(Strict):
    """A column that names files: the closure between rows and objects is proved over it."""

    table: str = Field(min_length=1, description="the name of a table")
    column: str = Field(min_length=1, description="the name of its column that holds a path")
    url: str = Field(default="", description='"" or what stands before the path wherever the column holds an address')


class Objects(Strict):
    """The surface objects."""

    folders: tuple[str, ...] = Field(
        default=("attachments",), min_length=1, description="folders under source_files, whose files are the objects"
    )
    references: tuple[Reference, ...] = Field(default=(), description="a list of {table, column, url}")
    cache_control: str = Field(default="private, max-age=3600", min_length=1, description="a Cache-Control header")

    @field_validator("cache_control")
    @classmethod
    def _header(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable():
            raise ValueError("a header is printable ASCII")
        return value


class KeyRow(Strict):
    """What becomes of the keys that a pattern matches; the first pattern that matches counts."""

    pattern: str = Field(min_length=1, description="a pattern over names of keys with * and ?, e.g. session:*")
    do: Literal["string", "json", "drop"] = Field(description="string, json or drop")
    ttl: Literal["keep", "lift", "drop"] = Field(
        default="keep", description="what becomes of a life under 60 seconds: keep (refused), lift (to 60) or drop"
    )
    reason: str = Field(default="", description="why, in a sentence; drop needs one")


class Keys(Strict):
    """The surface keys."""

    rules: tuple[KeyRow, ...] = Field(default=(), description="a list of {pattern, do, ttl, reason}")


class Jobs(Strict):
    """The surface jobs."""

    queues: tuple[str, ...] = Field(default=("celery",), min_length=1, description="names of Celery's queues")
    tasks: tuple[str, ...] = Field(default=(), description="tasks that the new application knows; none: not asked")
