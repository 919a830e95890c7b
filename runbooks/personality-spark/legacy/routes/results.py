"""POST and GET /results."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ..database import SessionOf
from ..models import QuizResult, utcnow
from ..tasks import COMPLETED

router = APIRouter(prefix="/results", tags=["results"])


class NewResult(BaseModel):
    """A result as a client sends it."""

    model_config = ConfigDict(extra="forbid")

    user_id: uuid.UUID | None = None
    quiz_type: str = Field(min_length=1, max_length=20)
    results: dict[str, Any]
    tags: list[str] = []
    seconds: int | None = Field(default=None, ge=0)


class ResultView(BaseModel):
    """A result as a client sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    user_id: uuid.UUID | None
    quiz_type: str | None
    results: dict[str, Any]
    tags: list[str | None]
    created_at: dt.datetime
    shared: bool


@router.post("", status_code=201)
def save_result(body: NewResult, request: Request, session: SessionOf) -> ResultView:
    """Keep a result; what is counted about it is left to Celery."""
    duration = None if body.seconds is None else dt.timedelta(seconds=body.seconds)
    row = QuizResult(
        id=uuid.uuid4(),
        user_id=body.user_id,
        quiz_type=body.quiz_type,
        results=body.results,
        tags=body.tags,
        duration=duration,
        created_at=utcnow(),
        shared=False,
    )
    session.add(row)
    try:
        session.commit()
    except IntegrityError:
        raise HTTPException(409, "there is no such user") from None
    request.app.state.celery.send_task(COMPLETED, args=(str(row.id), body.seconds or 0))
    return ResultView.model_validate(row)


@router.get("")
def list_results(
    user_id: uuid.UUID, session: SessionOf, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> list[ResultView]:
    """Somebody's newest results."""
    newest = QuizResult.created_at.desc()
    found = session.scalars(select(QuizResult).where(QuizResult.user_id == user_id).order_by(newest).limit(limit))
    return [ResultView.model_validate(row) for row in found]
