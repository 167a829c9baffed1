"""The public API: OpenAI's chat completions and models, the documents, and the jobs that make them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from pipelines.guarding import GuardedPipeline
from pipelines.rag import Finished, Question
from services.core.app import create_app
from services.core.client import CONNECTIONS, NO_HEADERS, HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.completion import FALLBACK_HEADER
from services.core.guards.guard import guard_checks, open_guard
from services.core.health import Check, Soft
from services.core.wire.split import read_shares
from services.gateway import (
    chat,
    compare,
    completions,
    documents,
    encoders,
    opea,
    passages,
    responses,
    runs,
    search,
)
from services.gateway.access import limits, usage
from services.gateway.access.ledger import MeteredGeneration, note_answer
from services.gateway.access.middleware import AccessMiddleware, Door
from services.gateway.access.tenants import TenantHttpClient, stored_name
from services.gateway.admission import AdmissionMiddleware, Gate, watch_gates
from services.gateway.compare import Grounder, scorer_by_detector, scorer_by_words
from services.gateway.feedback import routes as feedback
from services.gateway.feedback.store import LazyStore
from services.gateway.mcp_door import add_mcp
from services.gateway.page import frame
from services.gateway.page import routes as page
from services.gateway.recent import RecentTimes
from services.gateway.settings import Settings
from services.gateway.split import routes as split
from services.gateway.split.router import ROUTED_BY_HEADER, SplitRouter
from services.gateway.split.state import open_store

log = structlog.get_logger(__name__)

OPEN_NOTICE = "GATEWAY_ACCESS=open: anyone who reaches the gateway may read and delete every document"

EXPOSED_HEADERS = [
    "server-timing",
    "x-request-id",
    "retry-after",
    "www-authenticate",
    *limits.HEADERS,
    FALLBACK_HEADER,
    ROUTED_BY_HEADER,
    opea.IGNORED_HEADER,
]
"""What a page of another origin may read of a reply besides its body."""

ROUTERS = (
    chat.router,
    responses.router,
    completions.router,
    opea.router,
    compare.router,
    search.router,
    passages.router,
    encoders.router,
    documents.router,
    documents.opea_router,
    documents.jobs_router,
    feedback.router,
    usage.router,
    runs.router,
    split.router,
    frame.router,
    page.router,
)
"""Every route of the gateway, but for what all services have."""


def allow_origins(origins: Sequence[str]) -> Middleware:
    """Let pages of these origins call the gateway from a browser, without cookies."""
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )


def create(settings: Settings) -> FastAPI:
    """Make the app; `app.state` holds `pipeline`, `grounder`, `generation`, `dataprep` and `uploads` while it
    runs."""

    recent = RecentTimes()

    def note(question: Question, answer: Finished) -> None:
        note_answer(question, answer)
        recent.note(answer.model, answer.timings.ttft)

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(app.state.door.close)

            async def peer(
                name: str,
                url: str,
                connections: int = CONNECTIONS,
                headers: Mapping[str, str] = settings.peer_headers,
            ) -> HttpClient:
                return await stack.enter_async_context(
                    TenantHttpClient(name, url, connections=connections, headers=headers)
                )

            encoder = await peer("embedding", settings.embedding_url)
            embedding = EmbeddingClient(encoder)
            retrieval = RetrievalClient(
                await peer("retrieval", settings.retrieval_url), stored_name=stored_name
            )
            reranking = RerankingClient(
                await peer("reranking", settings.reranking_url), stored_name=stored_name
            )
            generation = MeteredGeneration(await peer("generation", settings.generation_url))
            dataprep = await peer("dataprep", settings.dataprep_url)
            app.state.generation = generation
            app.state.recent = recent
            app.state.embedding = encoder
            app.state.reranking = reranking
            app.state.dataprep = dataprep
            # a pool of their own: uploads that take long must not keep anybody from reading. It is wider than
            # the gate, because an upload whose client is silent keeps its connection and not its place
            app.state.uploads = await peer(
                "dataprep", settings.dataprep_url, settings.uploads + settings.queue
            )
            guard = await stack.enter_async_context(open_guard(settings, app.state.metrics))
            app.state.pipeline = GuardedPipeline(
                embedding=embedding,
                retrieval=retrieval,
                reranking=reranking,
                generation=generation,
                metrics=app.state.metrics,
                rerank_seconds=settings.rerank_seconds,
                rewrite_seconds=settings.rewrite_seconds,
                limits=settings.stage_limits,
                guard=guard,
                observe=note,
            )
            await stack.enter_async_context(app.state.split.open(generation))
            detector = settings.grounding_detector_url
            scorer = (
                scorer_by_detector(
                    await peer("detector", detector, headers=NO_HEADERS), settings.grounding_detector_labels
                )
                if detector
                else scorer_by_words()
            )
            app.state.grounder = Grounder(scorer, settings.grounding_seconds)
            app.state.feedback = LazyStore(settings.feedback_url)
            stack.push_async_callback(app.state.feedback.close)
            await stack.enter_async_context(app.state.mcp.open())

            yield {
                "embedding": embedding.ready,
                "retrieval": retrieval.ready,
                "reranking": Soft(reranking.ready),
                "generation": generation.ready,
                "dataprep": Soft(dataprep.ready),
                "split": Soft(app.state.split.check),
                **app.state.door.checks,
                **guard_checks(guard),
            }

    router = APIRouter()
    for part in ROUTERS:
        router.include_router(part)
    app = create_app(
        service="gateway",
        settings=settings,
        router=router,
        resources=resources,
        upload_routes=dict.fromkeys(documents.UPLOAD_PATHS),
        checks_token=False,
    )
    app.state.mcp = add_mcp(app, settings.max_body_bytes)
    app.state.split = SplitRouter(
        read_shares(settings.split), open_store(settings.split_url), app.state.metrics
    )
    app.state.runs = runs.open_runs(settings.runs_dir)
    door = Door(settings, app.state.metrics)
    app.state.door, app.state.usage, app.state.trusts = door, door.usage, door.trusts
    if settings.access_mode == "open":
        log.warning(OPEN_NOTICE)
        app.state.notices = (OPEN_NOTICE,)
    queue, seconds = settings.queue, settings.queue_seconds
    answers = Gate("answers", settings.in_flight, queue, seconds, "GATEWAY_IN_FLIGHT")
    uploads = Gate("uploads", settings.uploads, queue, seconds, "GATEWAY_UPLOADS")
    # the last of the list is the innermost: a refusal has its id, its span and its line in the log, and who
    # may not come in takes nobody's place
    app.user_middleware.append(Middleware(AccessMiddleware, door=door, upload_paths=documents.UPLOAD_PATHS))
    app.user_middleware.append(
        Middleware(
            AdmissionMiddleware,
            answers=answers,
            uploads=uploads,
            upload_paths=frozenset(documents.UPLOAD_PATHS),
        )
    )
    if settings.origins:
        # the first of the list is the outermost: a refusal has its headers too, else no page can read it
        app.user_middleware.insert(0, allow_origins(settings.origins))
    watch_gates(app.state.metrics, (answers, uploads))
    return app
