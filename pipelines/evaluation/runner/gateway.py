"""The gateway as a run uses it: lists the models, finds passages, asks one arm, brings in a corpus."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from urllib.parse import quote

import orjson
from pydantic import BaseModel, TypeAdapter

from services.core.client import HttpClient
from services.core.context import start_request
from services.core.errors import NotFound, ServiceError
from services.core.wire.answer import RagOptions, SearchReply, SearchRequest
from services.core.wire.base import Wire
from services.core.wire.chat import ModelInfo, ModelList
from services.core.wire.compare import ArmReply, ArmRequest, CompareReply, CompareRequest
from services.core.wire.dataprep import IngestReply
from services.core.wire.encoding import decode
from services.core.wire.passages import DocumentInfo, Passage

ANSWER_SECONDS = 3600.0
"""The gateway's own DEADLINE_SECONDS is what bounds an answer."""
SEARCH_SECONDS = 120.0
UPLOAD_SECONDS = 600.0


class _Documents(Wire):
    documents: list[DocumentInfo]


_MODELS = TypeAdapter(ModelList)
_SEARCH = TypeAdapter(SearchReply)
_COMPARE = TypeAdapter(CompareReply)
_DOCUMENTS = TypeAdapter(_Documents)
_INGEST = TypeAdapter(IngestReply)


class Gateway:
    """Calls the gateway. Every call begins a request of its own and raises what the gateway reports."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.name = client.service

    async def models(self) -> tuple[ModelInfo, ...]:
        """List the gateway's model entries."""
        start_request(uuid.uuid4().hex, SEARCH_SECONDS)
        return tuple(decode(_MODELS, await self._client.get("/v1/models"), self.name).entries)

    async def search(self, question: str, rag: RagOptions) -> SearchReply:
        """Find passages for a question, as the gateway's chat would."""
        start_request(uuid.uuid4().hex, SEARCH_SECONDS)
        request = SearchRequest(question=question, rag=rag)
        body = await self._client.post("/v1/search", _encode(request), idempotent=True)
        return decode(_SEARCH, body, self.name)

    async def ask(self, question: str, arm: ArmRequest, passages: Sequence[Passage]) -> ArmReply:
        """Ask one arm to answer from these passages, with a cold prompt; what fails there is in the reply."""
        start_request(uuid.uuid4().hex, ANSWER_SECONDS)
        request = CompareRequest(
            question=question,
            arms=[arm],
            rag=RagOptions.model_validate({"context": [passage.model_dump() for passage in passages]}),
            serial=True,
            cold=True,
            grounding="all" if passages else "off",
        )
        reply = decode(_COMPARE, await self._client.post("/v1/compare", _encode(request)), self.name)
        if len(reply.arms) != 1:
            raise ServiceError(f"one arm was asked and {len(reply.arms)} replied", service=self.name)
        return reply.arms[0]

    async def documents(self, collection: str) -> dict[str, str]:
        """List the ids of a collection's documents by their names; none where there is no such collection."""
        start_request(uuid.uuid4().hex, SEARCH_SECONDS)
        try:
            body = await self._client.get(f"/v1/documents?collection={quote(collection)}")
        except NotFound:
            return {}
        return {document.name: document.id for document in decode(_DOCUMENTS, body, self.name).documents}

    async def upload(self, collection: str, texts: Sequence[tuple[str, str]]) -> dict[str, str]:
        """Bring in documents.

        Args:
            collection: Where they go.
            texts: The name and the text of each.

        Returns:
            Their ids by name.

        Raises:
            ServiceError: One of them was not ingested.
        """
        start_request(uuid.uuid4().hex, UPLOAD_SECONDS)
        boundary = uuid.uuid4().hex
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        body = await self._client.post(
            "/v1/documents", _multipart_form(collection, texts, boundary), headers=headers
        )
        files = decode(_INGEST, body, self.name).files
        for file in files:
            if file.error is not None:
                raise ServiceError(
                    f"{file.name} was not ingested: {file.error.message}", service=file.error.service
                )
        return {file.name: file.document_id for file in files}


def _encode(request: BaseModel) -> bytes:
    return orjson.dumps(request.model_dump(exclude_none=True))


def _multipart_form(collection: str, texts: Sequence[tuple[str, str]], boundary: str) -> bytes:
    """Write the body of an upload. The names must have no quotation marks or line ends."""
    parts = [f'Content-Disposition: form-data; name="collection"\r\n\r\n{collection}']
    parts += [
        f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
        for name, text in texts
    ]
    return ("".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n").encode()
