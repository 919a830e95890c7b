"""GET /generate/{type}: what is cached, else a quiz that is made and cached for an hour."""

from __future__ import annotations

import datetime as dt
import json

from fastapi import APIRouter, HTTPException, Request, Response

from ..database import SessionOf
from ..models import QuizAnalytics

router = APIRouter(tags=["quizzes"])
TYPES = ("big5", "daily", "quick", "mood")
SECONDS = 3600


@router.get("/generate/{quiz_type}")
def generate_quiz(quiz_type: str, request: Request, session: SessionOf) -> Response:
    """One quiz of that type; `X-Quiz-Source` says whether it was in the cache."""
    if quiz_type not in TYPES:
        raise HTTPException(400, f"not a type of quiz; there are {', '.join(TYPES)}")
    cache, key = request.app.state.cache, f"quiz:{quiz_type}"
    cached = cache.get(key)
    if cached is not None:
        return _quiz(cached, "cache")
    body = json.dumps(stub(quiz_type)).encode()
    with request.app.state.switch.writing() as allowed:
        if allowed:
            cache.set(key, body, ex=SECONDS)
            session.add(QuizAnalytics(quiz_type=quiz_type, created_date=dt.datetime.now(dt.UTC).date()))
            session.commit()
    return _quiz(body, "stub")


def stub(quiz_type: str) -> dict[str, object]:
    """It stands for the AI that wrote the quizzes, and says so in its answer."""
    questions = ("I like to meet new people", "I plan my day", "I stay calm when plans change")
    listed = [
        {"id": f"{quiz_type}-{at}", "text": text, "answers": [1, 2, 3, 4, 5]} for at, text in enumerate(questions, 1)
    ]
    return {"type": quiz_type, "generator": "stub", "questions": listed}


def _quiz(body: bytes, source: str) -> Response:
    return Response(body, media_type="application/json", headers={"X-Quiz-Source": source})
