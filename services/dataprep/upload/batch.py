"""A batch: what an upload's form asks for, as an order and its files."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError, field_validator, model_validator

from services.core.app import explain_invalid
from services.core.errors import InvalidRequest, PayloadTooLarge, RaglineError
from services.core.wire.base import Metadata, StrictWire
from services.core.wire.dataprep import JobFile
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName
from services.dataprep.jobs.store import IngestOrder, UploadedFile, fail_file
from services.dataprep.parsing.archives import is_archive
from services.dataprep.parsing.chunking import Chunking
from services.dataprep.parsing.decoding import is_text_encoding
from services.dataprep.parsing.mail import is_mail
from services.dataprep.parsing.sandbox import Sandbox
from services.dataprep.settings import MAX_CHUNK_SIZE, MIN_CHUNK_SIZE, Settings
from services.dataprep.upload.links import Fetcher, links
from services.dataprep.upload.metadata import attach_sidecars, read_metadata
from services.dataprep.upload.multipart import FILES_FIELD, LINKS_FIELD, Form, Upload
from services.dataprep.upload.names import clean_name, document_id

NESTED = 3
"""E-mails within e-mails, archives attached to them, and so on: so many around a file."""


class _Fields(StrictWire):
    """The form's fields besides files and names; one that is left empty counts as left out.

    From `index_name` on they are OPEA's. Tables are always read, row by row: `process_table` changes nothing,
    and the strategies `fast` and `hq` are the same.
    """

    collection: CollectionName = DEFAULT_COLLECTION
    chunk_size: int | None = Field(None, ge=MIN_CHUNK_SIZE, le=MAX_CHUNK_SIZE)
    chunk_overlap: int | None = Field(None, ge=0)
    encoding: str = ""
    strict: bool = False
    metadata: str = ""
    index_name: CollectionName | None = None
    process_table: bool = False
    table_strategy: str = "fast"
    ingest_from_graphDB: bool = False  # noqa: N815 - OPEA's name

    @field_validator("table_strategy")
    @classmethod
    def _is_a_strategy(cls, name: str) -> str:
        if name not in {"fast", "hq"}:
            raise ValueError("no model describes tables here: send fast or hq, for tables read row by row")
        return name

    @field_validator("ingest_from_graphDB")
    @classmethod
    def _is_no_graph(cls, wanted: bool) -> bool:
        if wanted:
            raise ValueError("there is no graph database here: send false, or leave it out")
        return wanted

    @model_validator(mode="after")
    def _names_one_collection(self) -> Self:
        if self.index_name and "collection" in self.model_fields_set and self.index_name != self.collection:
            raise ValueError("index_name and collection name two collections: send one of them")
        return self

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name and not is_text_encoding(name):
            raise ValueError(f"no text encoding is called {name[:40]!r}: cp1252, shift_jis, utf-16 are some")
        return name.strip().lower()


@dataclass(frozen=True, slots=True)
class Batch:
    uploads: Sequence[Upload]
    order: IngestOrder
    links: Sequence[str] = ()
    metadata: Metadata = field(default_factory=dict)

    @classmethod
    def of(cls, form: Form, settings: Settings, *, patient: bool, trace: str = "") -> Batch:
        """What the form asks for. Raises `InvalidRequest` that names the field at fault."""
        given = {name: values for name, values in form.fields.items() if any(values)}
        wanted = links(given.pop(LINKS_FIELD, []))
        if wanted and not settings.fetch_urls:
            raise InvalidRequest(
                f"link_list is not accepted: this service fetches no URLs; send the pages in `{FILES_FIELD}`"
                ", or set DATAPREP_FETCH_URLS"
            )
        names = given.pop("names", [])
        if len(form.files) + len(wanted) > settings.max_files:
            raise PayloadTooLarge(f"more than {settings.max_files} files and links: send fewer at a time")
        if not form.files and not wanted:
            raise InvalidRequest(f"no file to ingest: send at least one in the field `{FILES_FIELD}`")
        if names and len(names) != len(form.files):
            raise InvalidRequest(
                f"names: {len(names)} for {len(form.files)} files; send one for each, in order"
            )
        try:
            fields = _Fields.model_validate({name: values[-1] for name, values in given.items()})
        except ValidationError as error:
            issues = [{**issue, "loc": ("body", *issue["loc"])} for issue in error.errors()]
            raise explain_invalid(RequestValidationError(issues)) from None
        uploads = [replace(upload, name=name) for upload, name in zip(form.files, names, strict=False)]
        order = IngestOrder(
            fields.index_name or fields.collection,
            _chunking(fields, settings),
            patient=patient,
            trace=trace,
            encoding=fields.encoding,
            strict=fields.strict,
        )
        metadata = read_metadata(fields.metadata, "metadata")
        return cls(uploads or form.files, order, wanted, metadata)

    async def receive(self, folder: Path, sandbox: Sandbox, fetcher: Fetcher) -> list[UploadedFile]:
        """Return the files and what is behind the links, archives unpacked, all below `folder`; one
        that is known to fail already has.

        Raises the first one's error where all do.
        """
        errors: list[RaglineError] = []
        taken: set[str] = set()
        received: list[UploadedFile] = []
        fetched = await fetcher.fetch_all(self.links, folder)
        unpacked = await unpack_archives([*self.uploads, *fetched], folder, sandbox)
        for upload, own in await asyncio.to_thread(attach_sidecars, unpacked):
            file = JobFile(name=upload.name, size=upload.size, metadata=self.metadata | own)
            try:
                name = _acceptable(upload, taken)
                file = file.model_copy(update={"name": name, "document_id": document_id(name)})
            except RaglineError as error:
                errors.append(error)
                file = fail_file(file, error)
            received.append(UploadedFile(file, upload.sha256, upload.path))
        if len(errors) == len(received):
            raise errors[0]
        return received


def _acceptable(upload: Upload, taken: set[str]) -> str:
    if upload.error is not None:
        raise upload.error
    name = clean_name(upload.name)
    if upload.too_large:
        raise PayloadTooLarge(f"{name} is larger than DATAPREP_MAX_FILE_BYTES allows: split it")
    if name in taken:
        raise InvalidRequest(f"{name} comes twice in this upload: send it once")
    taken.add(name)
    return name


def _chunking(fields: _Fields, settings: Settings) -> Chunking:
    size = settings.chunk_size if fields.chunk_size is None else fields.chunk_size
    overlap = fields.chunk_overlap
    if overlap is None:  # the default suits the default size; a smaller one bounds it
        return Chunking(size, min(settings.chunk_overlap, size // 2), settings.chunk_tokens)
    if overlap * 2 > size:
        raise InvalidRequest(f"chunk_overlap: {overlap} is more than half of chunk_size, which is {size}")
    return Chunking(size, overlap, settings.chunk_tokens)


async def unpack_archives(uploads: Sequence[Upload], folder: Path, sandbox: Sandbox) -> list[Upload]:
    """Return the uploads in their order, with the files of an archive in its place; they are named
    `archive.zip/inner/path.md`. An e-mail's attachments come behind it and are named `mail.eml/report.pdf`.

    They are unpacked below `folder`, all together to what one archive may unpack to and as many as one may
    hold. What is wrong with an archive or a file in it is its `error`.
    """
    unpacker = _Unpacker(folder, sandbox)
    return [file for upload in uploads for file in await unpacker.unpack(upload)]


class _Unpacker:
    """Unpacks archives and e-mails, also those that are attached to e-mails."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._left = sandbox.limits.expanded_bytes
        self._count = 0

    async def unpack(self, upload: Upload, depth: int = 0) -> list[Upload]:
        """Return what an upload holds; itself, where that is nothing."""
        mail = is_mail(upload.name)
        if upload.too_large or upload.error is not None or not (mail or is_archive(upload.name)):
            return [upload]
        if depth > NESTED:
            words = f"is nested in more than {NESTED} e-mails and archives: send it by itself"
            return [replace(upload, error=InvalidRequest(f"{upload.name} {words}"))]
        self._count += 1
        inside = self._folder / f"archive-{self._count}"
        inside.mkdir()
        try:
            members = await self._sandbox.unpack(upload.path, upload.name, inside)
        except RaglineError as error:
            # what is wrong with an e-mail as a whole, its parser will say
            return [upload if mail else replace(upload, error=error)]
        size = sum(member.size for member in members)
        if size > self._left:
            await asyncio.to_thread(shutil.rmtree, inside)
            most = self._sandbox.limits.expanded_bytes
            words = f"and the archives before it unpack to more than {most} bytes: send it by itself"
            return [replace(upload, error=PayloadTooLarge(f"{upload.name} {words}"))]
        self._left -= size
        files = [upload] if mail else []
        for member in members:
            held = Upload(member.name, member.path, member.size, member.sha256, error=member.error)
            files += await self.unpack(held, depth + 1)
            if len(files) > self._sandbox.limits.members:
                words = f"holds more than {self._sandbox.limits.members} files: split it"
                return [replace(upload, error=PayloadTooLarge(f"{upload.name} {words}"))]
        return files
