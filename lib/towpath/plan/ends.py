"""Source and target as params name them: the two ends of the move, one typed key each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from towpath.plan.addresses import matching, plain_address, server
from towpath.plan.inline import secret_kind
from towpath.secrets import REFERENCE

NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
SHORT = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
HEX32 = re.compile(r"^[0-9a-f]{32}$")
_DSN = re.compile(r"(?i)\bpassword\s*=")  # libpq's other way to write an address
_BUCKET = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")  # developers.cloudflare.com/r2/buckets/create-buckets

REFERENCES = (  # keys that hold a secret by reference
    "source_password",
    "source_cache_password",
    "source_jobs_password",
    "cloudflare_token",
    "r2_access_key",
    "r2_secret_key",
    "worker_token",
)
Environment = Literal["local", "rehearsal", "staging", "production"]
UNSIGNED = ("local", "rehearsal")  # on this machine, for practice: nobody has to sign, no target has to be typed back


class Ends(BaseModel):
    """Where the source lies and which target is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    system: str = Field(description="the name of a folder under runbooks/: lower-case letters, digits, hyphens")
    environment: Environment = Field(description="local, rehearsal, staging or production")
    source_database: str = Field(
        description="a path without .., or postgresql://user@host:port/database without a password"
    )
    source_password: str = Field(default="", description='env:NAME or file:PATH; "" for a file')
    source_cache: str = Field(default="", description='redis://host:port/number; "" when there is no cache')
    source_cache_password: str = Field(default="", description='env:NAME or file:PATH; "" when it has none')
    source_jobs: str = Field(default="", description='redis://host:port/number; "" when there are no queued jobs')
    source_jobs_password: str = Field(default="", description='env:NAME or file:PATH; "" when it has none')
    source_files: str = Field(description="a folder, relative to the project or absolute, without ..")
    source_maintenance_switch: str = Field(description="a path, relative to the project or absolute, without ..")
    source_closed_cleanly: bool = Field(description="true or false")
    cloudflare_api: str = Field(description="an https:// address, or http:// on 127.0.0.1 or localhost")
    cloudflare_account: str = Field(description='32 hex digits; "" only on this machine')
    cloudflare_token: str = Field(description='env:NAME or file:PATH; "" only on this machine')
    d1_database_id: str = Field(description="the UUID that D1 gave; any short name on this machine")
    d1_database_name: str = Field(description="1 to 64 letters, digits, hyphens, underscores")
    d1_plan: Literal["free", "paid"] = Field(description="free or paid")
    r2_endpoint: str = Field(description="an https:// address, or http:// on 127.0.0.1 or localhost")
    r2_bucket: str = Field(description="3 to 63 lower-case letters, digits, hyphens")
    r2_access_key: str = Field(description="a reference, env:NAME or file:PATH")
    r2_secret_key: str = Field(description="a reference, env:NAME or file:PATH")
    kv_namespace_id: str = Field(
        default="", description='32 hex digits; any short name on this machine; "" when there is no cache'
    )
    worker_url: str = Field(
        default="", description='an https:// address, or http:// on 127.0.0.1 or localhost; "" when there are no jobs'
    )
    worker_token: str = Field(default="", description='env:NAME or file:PATH; "" when there are no jobs')

    @field_validator("system")
    @classmethod
    def _system(cls, value: str) -> str:
        return matching(NAME, value)

    @field_validator("source_database", "source_files", "source_maintenance_switch")
    @classmethod
    def _path(cls, value: str, info: ValidationInfo) -> str:
        if info.field_name == "source_database" and "://" in value:
            return server(value, "postgresql", re.compile(r"/[^/?#]+"))
        if "://" in value or _DSN.search(value):
            raise ValueError("it must be a path, or an address without a password")
        if not value.strip() or "\0" in value or ".." in Path(value).parts or value.startswith("~"):
            raise ValueError("it must be a path without ..")
        return value

    @field_validator("source_cache", "source_jobs")
    @classmethod
    def _redis(cls, value: str) -> str:
        return value and server(value, "redis", re.compile(r"/\d{1,4}"))

    @field_validator("cloudflare_api", "r2_endpoint", "worker_url")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "worker_url":
            return value
        return plain_address(value)

    @field_validator("cloudflare_account")
    @classmethod
    def _account(cls, value: str) -> str:
        return value and matching(HEX32, value)

    @field_validator(*REFERENCES)
    @classmethod
    def _reference(cls, value: str) -> str:
        return reference(value)

    @field_validator("r2_access_key", "r2_secret_key")
    @classmethod
    def _needed(cls, value: str) -> str:
        if not value:
            raise ValueError("R2 needs credentials")
        return value

    @field_validator("d1_database_id", "d1_database_name", "kv_namespace_id")
    @classmethod
    def _d1(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "kv_namespace_id":
            return value
        return matching(SHORT, value)

    @field_validator("r2_bucket")
    @classmethod
    def _bucket(cls, value: str) -> str:
        return matching(_BUCKET, value)


def reference(value: str) -> str:
    """The value, if it is empty or refers to a secret.  Raises ValueError."""
    if value and (not REFERENCE.match(value) or secret_kind(value) or ".." in Path(value[5:]).parts):
        raise ValueError("a secret stands here by reference only")
    return value
