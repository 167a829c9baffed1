"""`/v1/split`: where the questions go that name no model; an operator changes it without a restart."""

from __future__ import annotations

from fastapi import APIRouter, Request

from services.core.context import within_deadline
from services.core.wire.split import SplitReply, SplitRequest
from services.gateway.access.caller import current_caller
from services.gateway.split.router import SplitRouter

router = APIRouter(prefix="/v1/split", tags=["split"])


def _split(request: Request) -> SplitRouter:
    split: SplitRouter = request.app.state.split
    return split


@router.get("", summary="The split in force, and where it comes from")
async def read(request: Request) -> SplitReply:
    async with within_deadline("the split", service="gateway"):
        return await _split(request).read_anew()


@router.put(
    "", summary="Set the live split: it counts at once here, and within seconds at every other gateway"
)
async def change(request: Request, body: SplitRequest) -> SplitReply:
    """It is durable once this has answered, and counts in place of LLM_SPLIT until it is deleted."""
    async with within_deadline("the split", service="gateway"):
        return await _split(request).set(body, current_caller())


@router.delete("", summary="End the live split: LLM_SPLIT counts again")
async def end(request: Request) -> SplitReply:
    async with within_deadline("the split", service="gateway"):
        return await _split(request).end(current_caller())
