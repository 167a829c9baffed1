"""The stored documents: listed and deleted, at `/v1/documents` and as OPEA's dataprep has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response
from yarl import URL

from services.core.clients.retrieval import RetrievalClient
from services.core.errors import InvalidRequest, NotFound
from services.core.replies import JsonReply
from services.core.wire.dataprep import (
    ALL,
    DeletedDocument,
    DeleteFileReply,
    DeleteFileRequest,
    ListedFile,
    ListRequest,
    Status,
)
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName, DocumentInfo
from services.core.wire.retrieval import DocumentsReply
from services.dataprep.jobs.store import JobStore
from services.dataprep.upload.names import clean_name, document_id

DELETED = "the document was deleted after it was sent"

OPEN: tuple[Status, ...] = ("queued", "running", "waiting")
MOST_JOBS = 1000
"""Jobs of each status that are looked through for the files of a folder."""

routes = APIRouter(tags=["dataprep"])


class Documents:
    """Lists and deletes stored documents.

    A deletion holds for all that was accepted before it: files of the document that wait or are being
    ingested are cancelled first, so that none brings it back.
    """

    def __init__(self, retrieval: RetrievalClient, jobs: JobStore) -> None:
        self._retrieval = retrieval
        self._jobs = jobs

    async def all(self, collection: str) -> list[DocumentInfo]:
        return await self._retrieval.documents(collection)

    async def collections(self) -> list[str]:
        """Return the names of the collections."""
        return [info.name for info in await self._retrieval.collections()]

    async def delete(self, collection: str, document: str) -> int | None:
        """Return how many passages it had; None where there was nothing to delete and nothing on its way."""
        cancelled = await self._jobs.cancel_documents(collection, document, DELETED)
        count = await self._retrieval.delete(collection, document)
        return count if count or cancelled else None

    async def delete_all(self, collection: str) -> list[int]:
        """Return how many passages each document had."""
        await self._jobs.cancel_documents(collection, None, DELETED)
        documents = await self._retrieval.documents(collection)
        return [await self._retrieval.delete(collection, document.id) for document in documents]

    async def delete_path(self, collection: str, path: str) -> list[int]:
        """Delete what a path of OPEA's means, and return how many passages each document had.

        Where no document that is stored, or on its way, has the name, the path is a document's id, a link, or
        a folder.

        Raises:
            InvalidRequest: The path can mean nothing.
            NotFound: It means nothing that is here.
        """
        if not path.startswith(_SCHEMES):
            name = clean_name(path.rstrip("/"))
            count = await self.delete(collection, document_id(name))
            if count is not None:
                return [count]
        meant = find_documents(path, [*await self._list_open(collection), *await self.all(collection)])
        counts = [await self.delete(collection, document) for document in meant]
        if not counts:
            raise NotFound(f"no document or folder {path!r} in collection {collection!r}")
        return [count or 0 for count in counts]

    async def _list_open(self, collection: str) -> list[DocumentInfo]:
        """List the documents that are on their way."""
        found: list[DocumentInfo] = []
        for status in OPEN:
            for job in await self._jobs.jobs(status, MOST_JOBS):
                if job.collection == collection:
                    files = [file for file in job.files if file.document_id and not file.finished]
                    found += [
                        DocumentInfo(id=file.document_id, name=file.name, revision="", passages=0)
                        for file in files
                    ]
        return found


_SCHEMES = ("http://", "https://")


def find_documents(path: str, documents: Sequence[DocumentInfo]) -> list[str]:
    """Find the ids of the documents that a path means: of the id itself, of a link, of a folder.

    A link's document is named by host and path with a suffix of its format; OPEA's name of it is the link
    with `.txt` after it.
    """
    if any(document.id == path for document in documents):
        return [path]
    if path.startswith(_SCHEMES):
        links = {_name_link(path.removesuffix(".txt")), _name_link(path)}
        meant = [one for one in documents if not links.isdisjoint({one.name, one.name.rpartition(".")[0]})]
    else:
        meant = [one for one in documents if one.name.startswith(f"{path.rstrip('/')}/")]
    return list(dict.fromkeys(document.id for document in meant))


def _name_link(link: str) -> str:
    """Name a link as its document is named, but for the suffix of its format."""
    try:
        url = URL(link)
    except ValueError:
        raise InvalidRequest(f"file_path: {link!r} is not a link") from None
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    return f"{url.host}{url.raw_path.rstrip('/') or '/index'}{query}"


async def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


Stored = Annotated[Documents, Depends(_documents)]


# the name is part of the operation ids, which generated clients call
@routes.post(
    "/v1/dataprep/get", response_model=list[ListedFile], summary="OPEA: the documents", name="listed"
)
async def list_files(stored: Stored, wanted: ListRequest | None = None) -> Response:
    """With `index_name` each file says its own; `all` lists every collection's."""
    request = wanted or ListRequest()
    names = await stored.collections() if request.index_name == ALL else [request.wanted]
    files = [
        ListedFile(name=document.name, id=document.id, index_name=name if request.index_name else None)
        for name in names
        for document in await stored.all(name)
    ]
    return JsonReply([file.model_dump(exclude_none=True) for file in files])


@routes.post(
    "/v1/dataprep/delete",
    response_model=DeleteFileReply,
    summary="OPEA: delete a document by id or name, a folder, or all",
)
async def delete_file(doomed: DeleteFileRequest, stored: Stored) -> Response:
    if doomed.file_path == ALL:
        counts = await stored.delete_all(doomed.wanted)
    else:
        counts = await stored.delete_path(doomed.wanted, doomed.file_path)
    return JsonReply(DeleteFileReply(documents=len(counts), passages=sum(counts)).model_dump())


@routes.post("/v1/dataprep/indices", summary="OPEA: the names of the collections")
async def list_indices(stored: Stored) -> list[str]:
    return await stored.collections()


@routes.get("/v1/documents", response_model=DocumentsReply, summary="The documents of a collection")
async def documents(stored: Stored, collection: CollectionName = DEFAULT_COLLECTION) -> Response:
    found = await stored.all(collection)
    return JsonReply({"documents": [document.model_dump() for document in found]})


@routes.delete("/v1/documents/{id}", response_model=DeletedDocument, summary="Delete a document")
async def delete_document(
    id_: Annotated[str, PathParameter(alias="id")],
    stored: Stored,
    collection: CollectionName = DEFAULT_COLLECTION,
) -> Response:
    count = await stored.delete(collection, id_)
    if count is None:
        raise NotFound(f"no document {id_!r} in collection {collection!r}")
    return JsonReply(DeletedDocument(id=id_, passages=count).model_dump())
