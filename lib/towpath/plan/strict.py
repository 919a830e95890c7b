"""The base of every value that a file of the plan holds: frozen, nothing unknown, nothing converted."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A value that refuses keys it does not know and values of another type; errors never repeat the input."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        validate_by_name=False,
        validate_by_alias=True,
    )
