"""A folder and its documents are kept the same until Ctrl-C (`ragline ingest --watch`)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
from watchfiles import awatch

from services.cli.console import Output
from services.cli.errors import UsageError
from services.cli.ingesting import Ingest
from services.cli.uploading import NO_FIELDS, Jobs, Upload, uploads_below
from services.core.client import HttpClient
from services.core.errors import RaglineError
from services.core.files import replace_atomically
from services.core.retry import RetryPolicy
from services.dataprep.upload.names import document_id

AGAIN_SECONDS = 5.0
SETTLE_MILLISECONDS = 500
"""Changes that follow each other faster than this are one."""
LOOK_MILLISECONDS = 200
"""So long after the watching has begun comes the first look at the whole folder."""


def check_folder(paths: Sequence[Path]) -> Path:
    """Return the one folder to watch. Raises `UsageError` for anything else."""
    if len(paths) != 1 or not paths[0].is_dir():
        raise UsageError("--watch takes one folder: ragline ingest --watch docs/")
    return paths[0].resolve()


async def watch(
    folder: Path,
    client: HttpClient,
    collection: str,
    output: Output,
    records: Path,
    *,
    fields: Mapping[str, str] = NO_FIELDS,
) -> None:
    """Make the collection like the folder, and again at every change; runs until it is cancelled.

    `records` is where it is remembered, across restarts, which documents came from this folder: only those
    are deleted with their files. `fields` are further fields of every upload.
    """
    known = WatchRecord.load(records, folder, collection, client.base_url)
    sync = Sync(folder, client, collection, output, known, fields=fields)
    output.line(f"watching {folder} for collection {collection}; Ctrl-C ends it")
    try:
        is_first = True  # comes when the folder is watched already, so that no change falls between
        async for changes in awatch(
            folder,
            watch_filter=None,
            step=50,
            debounce=SETTLE_MILLISECONDS,
            recursive=True,
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
        ):
            if changes or is_first:
                await sync.sync_persistently()
            is_first = False
    except asyncio.CancelledError:
        output.line("no longer watching; the documents stay")
        raise


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """The document of a file, its revision when it came from here, and the SHA-256 of the file then.

    An empty `revision`: it was sent, and never heard to be ingested.
    """

    document_id: str
    revision: str = ""
    digest: str = ""


class WatchRecord:
    """Which documents came from a folder: a small file that outlives the watching. `save` writes it."""

    def __init__(self, path: Path, files: dict[str, WatchedFile]) -> None:
        self._path = path
        self._files = files

    @classmethod
    def load(cls, records: Path, folder: Path, collection: str, gateway: str) -> WatchRecord:
        """What is known of this folder in this collection of this gateway."""
        name = hashlib.sha256(f"{folder}\n{collection}\n{gateway}".encode()).hexdigest()[:16]
        path = records / f"{name}.json"
        try:
            stored = orjson.loads(path.read_bytes())
        except FileNotFoundError:
            stored = {}
        return cls(path, {name: WatchedFile(**file) for name, file in stored.items()})

    @property
    def names(self) -> set[str]:
        return set(self._files)

    def get(self, name: str) -> WatchedFile:
        return self._files[name]

    def digest(self, name: str) -> str:
        """Of the file as it was last ingested; empty where it was not."""
        file = self._files.get(name)
        return file.digest if file else ""

    def begin(self, name: str, document: str) -> None:
        """It is about to be sent; what it was stays known until it has been ingested."""
        before = self._files.get(name, WatchedFile(document))
        self._files[name] = replace(before, digest="")

    def put(self, name: str, file: WatchedFile) -> None:
        self._files[name] = file

    def remove(self, name: str) -> None:
        self._files.pop(name, None)

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_atomically(
            self._path, orjson.dumps({name: asdict(file) for name, file in self._files.items()})
        )


class Sync:
    """Makes a collection like a folder."""

    def __init__(
        self,
        folder: Path,
        client: HttpClient,
        collection: str,
        output: Output,
        known: WatchRecord,
        *,
        fields: Mapping[str, str] = NO_FIELDS,
    ) -> None:
        self._fields = fields
        self._folder = folder
        self._client = client
        self._collection = collection
        self._output = output
        self._known = known
        self._refused: dict[str, str] = {}

    async def sync_persistently(self) -> None:
        """Sync, and again while the gateway or what is behind it is down."""

        async def tell(error: Exception | None) -> None:
            if isinstance(error, RaglineError):
                self._output.error(error)

        policy = RetryPolicy(
            first=AGAIN_SECONDS,
            longest=AGAIN_SECONDS,
            retries=lambda error: isinstance(error, RaglineError),
        )
        await policy.call(self.sync_once, tell)

    async def sync_once(self) -> None:
        """Ingest what is new or changed, delete what is gone."""
        uploads = {upload.name: upload for upload in await asyncio.to_thread(uploads_below, self._folder)}
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
        run = Ingest(self._client, self._collection, self._output, Jobs(self._client, fields=self._fields))
        for upload in changed:  # before: should we be killed, the document is known to be ours
            self._known.begin(upload.name, document_id(upload.name))
        self._known.save()
        try:
            await run.ingest(changed)
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
