"""Settings of the dataprep service."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from services.core.guards.guard import GuardSettings
from services.core.settings import ServiceSettings
from services.dataprep.parsing.document import Limits

SERVICE = "dataprep"
MAX_CHUNK_SIZE = 20_000
MIN_CHUNK_SIZE = 50


class Settings(GuardSettings, ServiceSettings):
    port: int = Field(
        5000, ge=0, le=65535, validation_alias="DATAPREP_PORT", description="port of the dataprep service"
    )
    embedding_url: str = Field(
        "http://127.0.0.1:6000",
        validation_alias="EMBEDDING_URL",
        description="the embedding service, or a text-embeddings-inference server",
    )
    retrieval_url: str = Field(
        "http://127.0.0.1:7000", validation_alias="RETRIEVAL_URL", description="the retrieval service"
    )
    chunk_size: int = Field(
        700,
        ge=MIN_CHUNK_SIZE,
        le=MAX_CHUNK_SIZE,
        validation_alias="CHUNK_SIZE",
        description="most characters of a passage; an embedding model does not see what exceeds its window",
    )
    chunk_overlap: int = Field(
        100,
        ge=0,
        validation_alias="CHUNK_OVERLAP",
        description="most characters that a passage repeats of the one before; at most half of CHUNK_SIZE",
    )
    chunk_tokens: int = Field(
        0,
        ge=0,
        validation_alias="CHUNK_TOKENS",
        description="most tokens of a passage with its header; 0: the embedding model's window",
    )
    token_vectors: bool = Field(
        True,
        validation_alias="TOKEN_VECTORS",
        description="store token vectors with the passages, so that reranking takes milliseconds",
    )
    batch: int = Field(
        32,
        ge=1,
        le=512,
        validation_alias="DATAPREP_BATCH",
        description="passages to embed and store at a time",
    )
    batches_ahead: int = Field(
        2,
        ge=1,
        le=16,
        validation_alias="DATAPREP_BATCHES_AHEAD",
        description="requests of one file that are under way at the embedding service at a time",
    )
    jobs_url: str = Field(
        "sqlite:",
        validation_alias="JOBS_URL",
        description="job store: sqlite: (below RAGLINE_HOME), sqlite:///path/to/dir, or "
        "redis://host:6379/0 for many dataprep workers on one queue",
    )
    workers: int = Field(
        8,
        ge=1,
        le=64,
        validation_alias="DATAPREP_WORKERS",
        description="files that this process ingests at a time",
    )
    queue: int = Field(
        10_000,
        ge=1,
        validation_alias="DATAPREP_QUEUE",
        description="most accepted files that are not ingested yet; more are a 429 with Retry-After",
    )
    retry_seconds: float = Field(
        3600,
        ge=0,
        validation_alias="DATAPREP_RETRY_SECONDS",
        description="how long a job waits for a service that is down before its file fails; 0: not at all",
    )
    jobs_kept: int = Field(
        1000, ge=0, validation_alias="DATAPREP_JOBS_KEPT", description="finished jobs that can be looked up"
    )
    jobs_kept_days: float = Field(
        7,
        ge=0,
        validation_alias="DATAPREP_JOBS_KEPT_DAYS",
        description="how long a finished job can be looked up",
    )
    max_file_bytes: int = Field(
        32 * 1024 * 1024,
        gt=0,
        validation_alias="DATAPREP_MAX_FILE_BYTES",
        description="largest file; else a 413",
    )
    max_files: int = Field(
        100, ge=1, validation_alias="DATAPREP_MAX_FILES", description="most files in one upload; else a 413"
    )
    max_upload_bytes: int = Field(
        256 * 1024 * 1024,
        gt=0,
        validation_alias="DATAPREP_MAX_UPLOAD_BYTES",
        description="largest upload, all its files together; else a 413",
    )
    max_pages: int = Field(
        2000,
        ge=1,
        validation_alias="DATAPREP_MAX_PAGES",
        description="most pages of a PDF or slides of a PPTX; else a 413",
    )
    max_characters: int = Field(
        32 * 1024 * 1024,
        ge=1,
        validation_alias="DATAPREP_MAX_CHARACTERS",
        description="most characters of text in one file, however small it is packed; else a 413",
    )
    max_passages: int = Field(
        100_000,
        ge=1,
        validation_alias="DATAPREP_MAX_PASSAGES",
        description="most passages of one file, such as records or functions; else a 413",
    )
    max_members: int = Field(
        1000,
        ge=1,
        validation_alias="DATAPREP_MAX_MEMBERS",
        description="most files in an archive; else a 413",
    )
    max_expanded_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1,
        validation_alias="DATAPREP_MAX_EXPANDED_BYTES",
        description="most bytes that an archive or an office file may unpack to; else a 413",
    )
    max_ratio: int = Field(
        200,
        ge=1,
        validation_alias="DATAPREP_MAX_RATIO",
        description="how many times its own size an archive or an office file may unpack to; else a 413",
    )
    fetch_urls: bool = Field(
        False,
        validation_alias="DATAPREP_FETCH_URLS",
        description="fetch the links that clients send in `link_list`, from addresses of the internet only",
    )
    fetch_ports: str = Field(
        "80,443",
        pattern=r"^(\*|\d{1,5}(,\d{1,5})*)$",
        validation_alias="DATAPREP_FETCH_PORTS",
        description="ports at which links are fetched; * for any",
    )
    fetch_proxy: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+/?)?$",
        validation_alias="DATAPREP_FETCH_PROXY",
        description="proxy through which links are fetched, as http://host:port; it resolves their names, so "
        "it has to refuse addresses that are not the internet's; HTTPS_PROXY alone is not taken for links",
    )
    fetch_seconds: float = Field(
        30,
        gt=0,
        validation_alias="DATAPREP_FETCH_SECONDS",
        description="longest that fetching a link may take",
    )
    parsers: int = Field(
        2,
        ge=1,
        validation_alias="DATAPREP_PARSERS",
        description="parser processes, that is files parsed at a time",
    )
    parse_seconds: float = Field(
        60,
        gt=0,
        validation_alias="DATAPREP_PARSE_SECONDS",
        description="longest that parsing a file may take",
    )
    parse_bytes: int = Field(
        1024 * 1024 * 1024,
        ge=256 * 1024 * 1024,
        validation_alias="DATAPREP_PARSE_BYTES",
        description="most memory (address space) of a parser process",
    )
    ocr: bool = Field(
        True,
        validation_alias="DATAPREP_OCR",
        description="read pages and pictures without text by OCR, where the extra dataprep-ocr is installed",
    )
    ocr_seconds: float = Field(
        600,
        gt=0,
        validation_alias="DATAPREP_OCR_SECONDS",
        description="longest that reading a file by OCR may take",
    )
    ocr_bytes: int = Field(
        6 * 1024 * 1024 * 1024,
        ge=3 * 1024 * 1024 * 1024,
        validation_alias="DATAPREP_OCR_BYTES",
        description="most memory (address space) of the OCR process, of which it uses about 1 GB",
    )
    deadline_seconds: float = Field(
        600,
        gt=0,
        validation_alias="DATAPREP_DEADLINE_SECONDS",
        description="longest an upload may take where its caller sets no shorter deadline",
    )

    @property
    def link_ports(self) -> frozenset[int] | None:
        """The ports at which links are fetched; None for any."""
        return None if self.fetch_ports == "*" else frozenset(map(int, self.fetch_ports.split(",")))

    @property
    def limits(self) -> Limits:
        return Limits(
            pages=self.max_pages,
            characters=self.max_characters,
            passages=self.max_passages,
            members=self.max_members,
            member_bytes=self.max_file_bytes,
            expanded_bytes=self.max_expanded_bytes,
            ratio=self.max_ratio,
        )

    @model_validator(mode="after")
    def _overlap_fits(self) -> Self:
        if self.chunk_overlap * 2 > self.chunk_size:
            raise ValueError("CHUNK_OVERLAP must be at most half of CHUNK_SIZE")
        return self
