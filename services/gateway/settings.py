"""The gateway's settings."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from pipelines.evaluation.grounding.detector import parse_labels
from pipelines.limits import StageLimits
from pipelines.prompting import PromptName
from pipelines.select import SelectName
from services.core.guards.guard import GuardSettings
from services.core.origins import Visitors
from services.core.settings import ServiceSettings
from services.core.wire.split import read_shares
from services.gateway.access.settings import AccessSettings


class Settings(AccessSettings, GuardSettings, ServiceSettings):
    port: int = Field(8888, validation_alias="GATEWAY_PORT", description="port of the public API")
    embedding_url: str = Field(
        "http://127.0.0.1:6000",
        validation_alias="EMBEDDING_URL",
        description="the embedding service, or a text-embeddings-inference server",
    )
    retrieval_url: str = Field(
        "http://127.0.0.1:7000", validation_alias="RETRIEVAL_URL", description="the retrieval service"
    )
    reranking_url: str = Field(
        "http://127.0.0.1:8000",
        validation_alias="RERANKING_URL",
        description="the reranking service, or a text-embeddings-inference server with a reranker",
    )
    generation_url: str = Field(
        "http://127.0.0.1:9000", validation_alias="GENERATION_URL", description="the generation service"
    )
    dataprep_url: str = Field(
        "http://127.0.0.1:5000", validation_alias="DATAPREP_URL", description="the dataprep service"
    )
    public_url: str = Field(
        "",
        validation_alias="GATEWAY_PUBLIC_URL",
        description="the address at which readers reach the gateway, for the links of citations; empty: the "
        "one that a request was sent to",
    )
    hosts: str = Field(
        "",
        validation_alias="GATEWAY_HOSTS",
        description="names by which the gateway may be called, besides that of GATEWAY_PUBLIC_URL, "
        "addresses, names without a dot and private ones (.local, .internal, .svc): rag.example.org,"
        ".b.example.org; * for any",
    )
    cors_origins: str = Field(
        "",
        validation_alias="GATEWAY_CORS_ORIGINS",
        description="origins whose pages may call the gateway from a browser, as "
        "https://chat.example.org,http://localhost:3000; * for all; empty: none",
    )
    top_k: int = Field(
        50, ge=1, le=200, validation_alias="RETRIEVAL_TOP_K", description="passages to retrieve for reranking"
    )
    top_n: int = Field(
        4, ge=1, le=50, validation_alias="RERANKING_TOP_N", description="passages that reach the prompt"
    )
    floor: float = Field(
        0.35,
        ge=0,
        le=1,
        validation_alias="RELEVANCE_FLOOR",
        description="cosine that a passage needs, or an identifier of the question; where none has that the "
        "answer is an abstention; 0: never",
    )
    floor_languages: str = Field(
        "en",
        validation_alias="RELEVANCE_FLOOR_LANGUAGES",
        description="languages that the floor was calibrated for, which are the embedding model's: codes "
        "such as en or de, or any; in others the question's words decide, or the model",
    )
    neighbours: int = Field(
        0,
        ge=0,
        le=10,
        validation_alias="NEIGHBOURS",
        description="passages before and after each of the prompt's that join it",
    )
    select: SelectName = Field(
        "sentences",
        validation_alias="SELECT",
        description="what of the passages reaches the prompt: sentences (those that bear on the question), "
        "passages (whole, where such a sentence is in them) or off (all that were found)",
    )
    rewrite: str = Field(
        "",
        validation_alias="QUERY_REWRITE",
        description="make a follow-up question stand alone before it is searched for: true (by the model "
        "that answers) or the model entry to ask; empty: search for it as it is",
    )
    rewrite_seconds: float = Field(
        10.0,
        gt=0,
        validation_alias="REWRITE_SECONDS",
        description="longest wait for a rewritten question; then the original is searched for, degraded",
    )
    grounding_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias="GROUNDING_SECONDS",
        description="longest wait for a compared answer's groundedness; then the comparison lacks it",
    )
    grounding_detector_url: str = Field(
        "",
        validation_alias="GROUNDING_DETECTOR_URL",
        description="a text-embeddings-inference server with an NLI model or a hallucination detector, which "
        "judges compared answers instead of the scorer; empty: the scorer",
    )
    grounding_detector_labels: str = Field(
        "",
        validation_alias="GROUNDING_DETECTOR_LABELS",
        description="what the detector's labels mean where their names do not say it, as "
        "LABEL_0=contradicted,LABEL_1=unsupported,LABEL_2=supported",
    )
    split: str = Field(
        "",
        validation_alias="LLM_SPLIT",
        description="shares of the questions that name no model, for other entries than the default one: "
        "large=10 sends a tenth of the conversations to large; 0 to 100 altogether",
    )
    split_url: str = Field(
        "file:",
        validation_alias="SPLIT_URL",
        description="where a split is kept that `PUT /v1/split` sets: file: (below RAGLINE_HOME), "
        "file:///path/to/dir, redis://host:6379/0 for several gateways, or off",
    )
    prompt: PromptName = Field(
        "plain",
        validation_alias="PROMPT",
        description="plain (small models answer more), steps (think step by step, in the answer) or "
        "reasoning (for models that think); with cite- before it, or cite, it asks for [n] markers and for "
        "I don't know as well",
    )
    feedback_url: str = Field(
        "sqlite:",
        validation_alias="FEEDBACK_URL",
        description="where thumbs and votes are kept: sqlite: (below RAGLINE_HOME), sqlite:///path/to/dir, "
        "or redis://host:6379/0 for several gateways; opened at the first use",
    )
    runs_dir: str = Field(
        "runs",
        validation_alias="RUNS_DIR",
        description="the folder of the runs of ragline eval and decide that /v1/runs and the page show; a "
        "relative one is below where the gateway was started; empty: none",
    )
    in_flight: int = Field(
        128,
        ge=1,
        le=256,
        validation_alias="GATEWAY_IN_FLIGHT",
        description="questions, searches and comparisons in work at once; more wait",
    )
    uploads: int = Field(
        32,
        ge=1,
        le=256,
        validation_alias="GATEWAY_UPLOADS",
        description="uploads in work at once; more wait, and hold no question up",
    )
    queue: int = Field(
        512,
        ge=0,
        validation_alias="GATEWAY_QUEUE",
        description="requests of each of the two kinds that may wait; more are a 429 with Retry-After",
    )
    queue_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias="GATEWAY_QUEUE_SECONDS",
        description="longest that a request waits for its turn; then it is a 429 with Retry-After",
    )
    embedding_seconds: float = Field(
        15.0,
        gt=0,
        validation_alias="EMBEDDING_SECONDS",
        description="longest wait for a question's vector; then a 504 names the stage",
    )
    retrieval_seconds: float = Field(
        15.0,
        gt=0,
        validation_alias="RETRIEVAL_SECONDS",
        description="longest wait for a question's passages; then a 504 names the stage",
    )
    first_token_seconds: float | None = Field(
        None,
        gt=0,
        validation_alias="FIRST_TOKEN_SECONDS",
        description="longest wait for an answer's first token of any kind, fallbacks included; then a 504 "
        "names the stage; unset: three quarters of DEADLINE_SECONDS",
    )
    between_tokens_seconds: float | None = Field(
        None,
        gt=0,
        validation_alias="BETWEEN_TOKENS_SECONDS",
        description="longest silence inside an answer; then its stream ends with an error that names the "
        "stage; unset: three quarters of DEADLINE_SECONDS",
    )
    rerank_seconds: float = Field(
        5.0,
        gt=0,
        validation_alias="RERANKING_SECONDS",
        description="longest wait for reranking; then the answer comes in retrieval order, marked degraded",
    )
    upload_seconds: float = Field(
        600.0,
        gt=0,
        validation_alias="UPLOAD_SECONDS",
        description="longest an upload may take, from its first byte to its last stored passage",
    )

    @property
    def stage_limits(self) -> StageLimits:
        """How long the stages may take that an answer cannot do without."""
        most = self.deadline_seconds * 0.75
        return StageLimits(
            embedding=self.embedding_seconds,
            retrieval=self.retrieval_seconds,
            first_token=self.first_token_seconds or most,
            between_tokens=self.between_tokens_seconds or most,
        )

    @property
    def visitors(self) -> Visitors:
        """Who may ask, by the name and the page that a request came by."""
        named = [*self.hosts.split(","), self.host, urlsplit(self.public_url).hostname or ""]
        return Visitors(named, self.origins, "GATEWAY_HOSTS")

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of `cors_origins`."""
        return tuple(part.strip() for part in self.cors_origins.split(",") if part.strip())

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, text: str) -> str:
        for origin in filter(None, (part.strip() for part in text.split(","))):
            if origin != "*" and not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise ValueError(
                    f"{origin!r} is no origin: write scheme://host or scheme://host:port, no path"
                )
        return text

    @field_validator("split")
    @classmethod
    def _check_split(cls, text: str) -> str:
        read_shares(text)
        return text

    @field_validator("grounding_detector_labels")
    @classmethod
    def _labels(cls, text: str) -> str:
        parse_labels(text)
        return text
