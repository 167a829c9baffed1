"""`/v1/feedback`: thumbs and votes are kept durably, and read by an admin of their tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from services.core.context import within_deadline
from services.core.errors import NotFound
from services.core.wire.feedback import Feedback, FeedbackPage, FeedbackRequest
from services.gateway.access.caller import current_caller
from services.gateway.feedback.store import FeedbackStore, LazyStore

router = APIRouter(prefix="/v1/feedback", tags=["feedback"])


async def _open(request: Request) -> FeedbackStore:
    store: LazyStore = request.app.state.feedback
    return await store.open()


@router.post("", status_code=201, summary="Say what one thinks of an answer, or which of several is better")
async def give(request: Request, body: FeedbackRequest) -> Feedback:
    """It is durable once this has answered. Without `person` the name of the key stands for one."""
    caller = current_caller()
    kept = body if body.person else body.model_copy(update={"person": caller.subject or caller.id})
    async with within_deadline("the feedback", service="gateway"):
        return await (await _open(request)).add(caller.tenant, kept)


@router.get("", summary="The feedback of one's tenant, the oldest first")
async def read(
    request: Request,
    after: Annotated[str, Query(description="the `next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> FeedbackPage:
    async with within_deadline("the feedback", service="gateway"):
        return await (await _open(request)).page(current_caller().tenant, after=after, limit=limit)


@router.delete("/{feedback_id}", status_code=204, summary="Delete one")
async def delete(request: Request, feedback_id: str) -> None:
    async with within_deadline("the feedback", service="gateway"):
        if not await (await _open(request)).delete(current_caller().tenant, feedback_id):
            raise NotFound(f"no feedback {feedback_id!r}")
