"""POST /shares/{result}: a share card is uploaded; GET /static/shares/{id}.png shows it."""

from __future__ import annotations

import datetime as dt
import uuid

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from ..database import Database
from ..models import QuizResult, ShareCard
from ..storage import SIGNATURE, card_path, card_url, located, write
from ..tasks import SHARED

router = APIRouter(tags=["shares"])
HEADERS = {"Cache-Control": "public, max-age=31536000"}


@router.post("/shares/{result_id}", status_code=201)
async def share(result_id: uuid.UUID, request: Request) -> dict[str, str]:
    """Keep the PNG of the body as the card of a result, and write its address into the result."""
    settings = request.app.state.settings
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > settings.largest_upload:
            raise HTTPException(413, f"a share card has at most {settings.largest_upload} bytes")
    if not content.startswith(SIGNATURE):
        raise HTTPException(415, "a share card is a PNG")
    return await run_in_threadpool(_keep, request, result_id, bytes(content))


@router.get("/static/shares/{name}")
def card(name: str, request: Request) -> FileResponse:
    """A card's picture."""
    try:
        path = located(request.app.state.settings.data, f"shares/{name}")
    except ValueError:
        raise HTTPException(404, "there is no such card") from None
    if not path.is_file():
        raise HTTPException(404, "there is no such card")
    return FileResponse(path, media_type="image/png", headers=HEADERS)


def _keep(request: Request, result_id: uuid.UUID, content: bytes) -> dict[str, str]:
    database: Database = request.app.state.database
    id = uuid.uuid4()
    with database.session() as session:
        result = session.get(QuizResult, result_id)
        if result is None:
            raise HTTPException(404, "there is no such result")
        # the file first: a row without its file is worse than a file without its row
        write(located(request.app.state.settings.data, card_path(id)), content)
        now = dt.datetime.now(dt.UTC)
        session.add(ShareCard(id=id, quiz_result_id=result_id, path=card_path(id), url=card_url(id), created_at=now))
        result.shared = True
        result.results = {**result.results, "share": {"url": card_url(id), "views": 0}}
        session.commit()
    request.app.state.celery.send_task(SHARED, args=(str(result_id), "upload"))
    return {"id": str(id), "url": card_url(id)}
