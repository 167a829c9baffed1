"""`/v1/passages/{id}`: the passage that a citation is of, and what stands around it in its document."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from pipelines.rag import RagPipeline
from services.core.context import within_deadline
from services.core.errors import Forbidden, InvalidRequest, NotFound
from services.core.wire.answer import FileCitation, UrlCitation, UrlPlace
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName, Passage
from services.core.wire.passages import passage_id as make_passage_id
from services.core.wire.retrieval import AroundReply, DocumentPassagesReply
from services.gateway.settings import Settings

router = APIRouter(tags=["search"])

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body{{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}}
pre{{font:inherit;white-space:pre-wrap;overflow-wrap:anywhere}}</style></head>
<body><h1>{title}</h1><p>{place}</p><pre>{text}</pre></body></html>
"""
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "vary": "accept",
    "cache-control": "no-store",
}
"""A passage is data: nothing in it may run, load or link. No cache keeps it, because its address may open it
to anyone for a while."""


@router.get(
    "/v1/passages/{passage_id}", response_model=Passage, summary="A passage, as a page for readers or as JSON"
)
async def passage(
    request: Request,
    passage_id: str,
    collection: Annotated[CollectionName, Query(description="the collection")] = DEFAULT_COLLECTION,
    start: Annotated[int, Query(description="where the marked words begin in the document")] = 0,
    end: Annotated[int, Query(description="where they end")] = 0,
) -> Response:
    """A browser gets a page, on which the words from `start` to `end` are marked; others get JSON."""
    pipeline: RagPipeline = request.app.state.pipeline
    async with within_deadline("the passage", service="gateway"):
        found = await _read_passage(pipeline, collection, passage_id)
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(draw_page(found, start, end), headers=_HEADERS)
    return Response(found.model_dump_json(exclude_none=True), media_type="application/json", headers=_HEADERS)


@router.get("/v1/passages/{passage_id}/around", summary="A passage and what stands around it in its document")
async def passages_around(
    request: Request,
    passage_id: str,
    collection: Annotated[CollectionName, Query(description="the collection")] = DEFAULT_COLLECTION,
    before: Annotated[int, Query(ge=0, le=100, description="how many passages before it")] = 1,
    after: Annotated[int, Query(ge=0, le=100, description="how many passages after it")] = 1,
) -> AroundReply:
    """The spans `start` and `end` of each say how the texts go together: neighbours may overlap."""
    pipeline: RagPipeline = request.app.state.pipeline
    async with within_deadline("the passage", service="gateway"):
        found = await _read_around(pipeline, collection, passage_id, before, after)
    return AroundReply(passages=found)


@router.get("/v1/documents/{document_id}/passages", summary="A document's passages, in order")
async def document_passages(
    request: Request,
    document_id: str,
    collection: Annotated[CollectionName, Query(description="the collection")] = DEFAULT_COLLECTION,
    first: Annotated[int, Query(ge=0, description="the first one's index")] = 0,
    limit: Annotated[int, Query(ge=1, le=100, description="how many")] = 20,
) -> DocumentPassagesReply:
    pipeline: RagPipeline = request.app.state.pipeline
    async with within_deadline("the passages", service="gateway"):
        listed = await pipeline.retrieval.documents(collection)
        document = next((document for document in listed if document.id == document_id), None)
        if document is None:
            raise NotFound(f"no document {document_id!r} in collection {collection}")
        found: list[Passage] = []
        if first < document.passages:
            at = make_passage_id(document_id, document.revision, first)
            found = await _read_around(pipeline, collection, at, 0, limit - 1)
    return DocumentPassagesReply(document=document, passages=found, total=document.passages)


async def _read_passage(pipeline: RagPipeline, collection: str, passage_id: str) -> Passage:
    found = await _read_around(pipeline, collection, passage_id, 0, 0)
    return next(passage for passage in found if passage.id == passage_id)


async def _read_around(
    pipeline: RagPipeline, collection: str, passage_id: str, before: int, after: int
) -> list[Passage]:
    try:
        around = await pipeline.retrieval.neighbours(collection, [passage_id], before=before, after=after)
    except (NotFound, Forbidden):
        raise
    except InvalidRequest:  # a store refuses what cannot be an id of its own
        around = {}
    found = around.get(passage_id, [])
    if any(passage.id == passage_id for passage in found):
        return found
    raise NotFound(f"no passage {passage_id!r} in collection {collection}: its document may have changed")


def draw_page(found: Passage, start: int, end: int) -> str:
    """Draw a passage as a page; the words at [start:end] of the document are marked where it holds them."""
    text, first, last = found.text, start - found.start, end - found.start
    marked = escape(text)
    if 0 <= first < last <= len(text):
        marked = f"{escape(text[:first])}<mark>{escape(text[first:last])}</mark>{escape(text[last:])}"
    place = [
        found.section,
        f"page {found.page}" if found.page is not None else "",
        f"characters {found.start} to {found.end}",
    ]
    return _PAGE.format(
        title=escape(found.title or found.document_id),
        place=escape(", ".join(part for part in place if part)),
        text=marked,
    )


class Links:
    """Makes the addresses of passages, and of the citations of one answer OpenAI's annotations."""

    def __init__(self, request: Request, collection: str, *, are_stored: bool) -> None:
        """Prepare to link.

        Args:
            request: The request that is answered; its own address is the gateway's where no other is set.
            collection: Where the passages are.
            are_stored: Whether they are there: passages that came with the request have no address.
        """
        settings: Settings = request.app.state.settings
        self._base = settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
        self._sign = request.app.state.door.links.sign
        self._collection = collection
        self._are_stored = are_stored

    def annotate(self, citations: Sequence[FileCitation]) -> list[UrlCitation]:
        """Say in OpenAI's form what these citations say; nothing where the passages have no address."""
        if not self._are_stored:
            return []
        return [UrlCitation(url_citation=self._place(citation)) for citation in citations]

    def _place(self, citation: FileCitation) -> UrlPlace:
        query = {
            "collection": self._collection,
            "start": str(citation.start),
            "end": str(citation.end),
        }
        query |= self._sign(citation.passage_id, query)
        return UrlPlace(
            start_index=citation.start_index,
            end_index=citation.index,
            title=citation.filename or citation.file_id,
            url=f"{self._base}/v1/passages/{quote(citation.passage_id, safe='')}?{urlencode(query)}",
        )
