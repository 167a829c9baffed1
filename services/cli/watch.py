"""`ragline ingest --watch`: a folder and its documents are kept the same until Ctrl-C."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from watchfiles import awatch

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.files import Upload, below
from services.cli.ingest import Ingest
from services.cli.uploading import Jobs
from services.cli.watched import Watched, WatchedFile
from services.core.client import HttpClient
from services.core.errors import RaglineError
from services.dataprep.upload.names import document_id

AGAIN_SECONDS = 5.0
SETTLE_MILLISECONDS = 500
"""Changes that follow each other faster than this are one."""


def folder_of(paths: Sequence[Path]) -> Path:
    """The one folder to watch. Raises `UsageError` for anything else."""
    if len(paths) != 1 or not paths[0].is_dir():
        raise UsageError("--watch takes one folder: ragline ingest --watch docs/")
    return paths[0].resolve()


async def watch(folder: Path, client: HttpClient, collection: str, output: Output, records: Path) -> None:
    """Make the collection like the folder, and again at every change; runs until it is cancelled.

    `records` is where it is remembered, across restarts, which documents came from this folder: only those
    are deleted with their files.
    """
    known = Watched.load(records, folder, collection, client.base_url)
    sync = Sync(folder, client, collection, output, known)
    output.line(f"watching {folder} for collection {collection}; Ctrl-C ends it")
    try:
        await sync.persistently()
        changes = awatch(folder, watch_filter=None, step=50, debounce=SETTLE_MILLISECONDS, recursive=True)
        async for _ in changes:
            await sync.persistently()
    except asyncio.CancelledError:
        output.line("no longer watching; the documents stay")
        raise


class Sync:
    def __init__(
        self, folder: Path, client: HttpClient, collection: str, output: Output, known: Watched
    ) -> None:
        self._folder = folder
        self._client = client
        self._collection = collection
        self._output = output
        self._known = known
        self._refused: dict[str, str] = {}

    async def persistently(self) -> None:
        """`once`, again while the gateway or what is behind it is down."""
        while True:
            try:
                await self.once()
            except RaglineError as error:
                self._output.error(error)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def once(self) -> None:
        """Ingest what is new or changed, delete what is gone."""
        uploads = {upload.name: upload for upload in await asyncio.to_thread(below, self._folder)}
        digests = {name: await asyncio.to_thread(_digest, upload.path) for name, upload in uploads.items()}
        changed = [upload for name, upload in uploads.items() if self._is_new(name, digests[name])]
        if changed:
            await self._ingest(changed, digests)
        for name in self._known.names - uploads.keys():
            await self._remove(name)

    def _is_new(self, name: str, digest: str) -> bool:
        """A file that was refused is tried again when it changes; one that cannot be read, when it can."""
        return bool(digest) and self._known.digest(name) != digest and self._refused.get(name) != digest

    async def _ingest(self, changed: Sequence[Upload], digests: dict[str, str]) -> None:
        run = Ingest(self._client, self._collection, self._output)
        for upload in changed:  # before: should we be killed, the document is known to be ours
            self._known.begin(upload.name, document_id(upload.name))
        self._known.save()
        try:
            await run.files(changed)
        finally:
            for name, file in run.done.items():
                self._known.put(name, WatchedFile(file.document_id, file.revision, digests[name]))
            for name in run.failed:
                self._refused[name] = digests[name]
            self._known.save()

    async def _remove(self, name: str) -> None:
        """Only what came from here, and is as it came from here."""
        file = self._known.get(name)
        if not file.revision:
            self._output.line(f"kept    {name}: it is gone, and was never wholly ingested from here")
        elif await Jobs(self._client).delete_document(file.document_id, file.revision, self._collection):
            self._output.line(f"deleted {name}")
        else:
            self._output.line(f"kept    {name}: its document was deleted or replaced from elsewhere")
        self._known.remove(name)
        self._known.save()


def _digest(path: Path) -> str:
    """The SHA-256 of a file; empty where it is gone or cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
