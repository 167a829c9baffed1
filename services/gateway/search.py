"""`/v1/search`, and how a request's `rag` options are completed from the gateway's settings."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request

from pipelines.clock import AnswerClock
from pipelines.rag import RagPipeline
from pipelines.search import Search
from services.core.context import within_deadline
from services.core.wire.answer import GivenPassage, RagOptions, SearchReply, SearchRequest
from services.core.wire.passages import Passage
from services.gateway.settings import Settings

router = APIRouter(tags=["search"])


@router.post(
    "/v1/search",
    response_model_exclude_none=True,
    summary="The passages that an answer would come from; no model is asked",
)
async def searched(request: Request, body: SearchRequest) -> SearchReply:
    """What it replies as `context.passages` may be sent as `rag.context`: the same passages, the same id."""
    pipeline: RagPipeline = request.app.state.pipeline
    settings: Settings = request.app.state.settings
    clock = AnswerClock(pipeline.metrics)
    async with within_deadline("the search", service="gateway"):
        found = await pipeline.find(
            body.question, resolve_search(body.rag, settings), clock, history=body.history, model=body.model
        )
    return SearchReply(context=found.freeze(), timings=clock.timings(), degraded=list(found.degraded))


def resolve_search(rag: RagOptions, settings: Settings) -> Search:
    """Complete a request's options from the settings."""
    return Search(
        collection=rag.collection,
        top_k=rag.top_k or settings.top_k,
        top_n=rag.top_n or settings.top_n,
        where=rag.filter,
        floor=settings.floor if rag.floor is None else rag.floor,
        floor_languages=read_languages(settings.floor_languages),
        mode=rag.mode,
        mmr=rag.mmr,
        neighbours=settings.neighbours if rag.neighbours is None else rag.neighbours,
        select=rag.select or settings.select,
        rewrite=rewriting_entry(settings.rewrite if rag.rewrite is None else rag.rewrite),
        given=None if rag.context is None else complete_passages(rag.context),
    )


def read_languages(text: str) -> tuple[str, ...]:
    """Read a list of language codes; `any` means all, which is an empty one."""
    codes = tuple(code.lower() for code in text.replace(",", " ").split())
    return () if "any" in codes else codes


def complete_passages(passages: Sequence[GivenPassage]) -> tuple[Passage, ...]:
    """Complete the passages of a request.

    One without an id is named by its place, from 1; one without a span is all of its document.
    """
    return tuple(
        Passage.model_validate(
            passage.model_dump()
            | {
                "id": passage.id or f"given-{place}",
                "document_id": passage.document_id or f"given-{place}",
                "end": passage.end or passage.start + len(passage.text),
            }
        )
        for place, passage in enumerate(passages, start=1)
    )


def rewriting_entry(wanted: bool | str) -> str | None:
    """Choose the model entry that rewrites: empty for the one that answers, None where nothing is rewritten.

    Words for yes and no count as such, because an environment variable has no booleans.
    """
    word = wanted.strip() if isinstance(wanted, str) else str(wanted)
    if word.lower() in {"", "false", "no", "off", "0"}:
        return None
    return "" if word.lower() in {"true", "yes", "on", "1"} else word
