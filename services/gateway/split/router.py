"""Sends questions that name no model to the entries of the split in force, and keeps that split up to date.

The split in force is the live one, where one is set, else LLM_SPLIT. It is read from its place again and
again, so that every gateway of a release follows a change without a restart; where its store does not answer,
nothing changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from fastapi import Request
from prometheus_client import Counter

from pipelines.rag import Question
from services.core.clients.generation import GenerationClient
from services.core.errors import InvalidRequest, RaglineError, ServiceUnavailable
from services.core.metrics import Metrics
from services.core.wire.split import LiveSplit, SplitReply, SplitRequest
from services.gateway.access.caller import Caller, current_caller
from services.gateway.split.shares import CONVERSATION_HEADER, choose_entry, identify_conversation
from services.gateway.split.state import SplitStore

REFRESH_SECONDS = 2.0
MODELS_EVERY = 15
"""Refreshes between two looks at which entries generation has, where a share goes to one."""
ASK_SECONDS = 2.0

ROUTED_BY_HEADER = "x-ragline-routed-by"
SPLIT = "split"
DEFAULT = "default"
"""The default entry in the metric, as long as generation has not said its name."""

log = structlog.get_logger(__name__)


class SplitRouter:
    """Holds the split in force.

    Args:
        configured: LLM_SPLIT's shares.
        store: Where a live split is kept.
        metrics: The gateway's.
    """

    def __init__(self, configured: Mapping[str, float], store: SplitStore, metrics: Metrics) -> None:
        self._configured = dict(configured)
        self._store = store
        self._generation: GenerationClient | None = None
        self._live: LiveSplit | None = None
        self._names: frozenset[str] | None = None
        self._default = DEFAULT
        self._trouble = ""
        self._reported = ""
        self._service = metrics.service
        self._counter = Counter(
            "ragline_split_requests",
            "Questions that named no model, by the entry that the split sent them to",
            ["service", "model"],
            registry=metrics.registry,
        )

    @contextlib.asynccontextmanager
    async def open(self, generation: GenerationClient) -> AsyncIterator[None]:
        """Read the live split, and follow it as long as this is open; `generation` knows the entries."""
        self._generation = generation
        await self._refresh(models=False)
        following = asyncio.create_task(self._follow(), name="split")
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self._store.close()

    @property
    def shares(self) -> dict[str, float]:
        """The split in force, without shares of nothing."""
        live = self._live.shares if self._live else None
        return {name: share for name, share in (self._configured if live is None else live).items() if share}

    def route(self, question: Question, *, header: str = "", user: str = "") -> Question:
        """Return the caller's question with the entry of its conversation, where it names none.

        Args:
            question: What is asked.
            header: What the client calls the conversation.
            user: OpenAI's `user`.
        """
        shares = self.shares
        if question.model or not shares:
            return question
        conversation = identify_conversation(question, current_caller(), header=header, user=user)
        entry = choose_entry(shares, conversation)
        if self._names is not None and entry not in self._names:
            entry = ""
        self._counter.labels(self._service, entry or self._default).inc()
        return replace(question, model=entry, routed_by=SPLIT)

    async def set(self, request: SplitRequest, caller: Caller) -> SplitReply:
        """Set the live split.

        Raises:
            InvalidRequest: It names an entry that generation does not have.
            Conflict: Somebody else was first, or there is no place for it.
        """
        await self._look_at_models()
        unknown = [name for name in request.shares if name not in (self._names or ())]
        if unknown:
            known = ", ".join(sorted(self._names or ()))
            raise InvalidRequest(f"shares: no model entry {', '.join(unknown)}: choose from {known}")
        return await self._write(request.shares, request.revision, caller, request.why)

    async def end(self, caller: Caller) -> SplitReply:
        """End the live split, so that LLM_SPLIT counts again."""
        if self._live is None or self._live.shares is None:
            return self.describe()
        return await self._write(None, None, caller, "")

    def describe(self) -> SplitReply:
        """Describe the split in force, and where it comes from."""
        live = self._live if self._live and self._live.shares is not None else None
        shares = self.shares
        return SplitReply(
            shares=shares,
            configured=self._configured,
            live=live,
            overrides=live is not None and live.shares != self._configured,
            unknown=[name for name in shares if self._names is not None and name not in self._names],
            detail=self._trouble,
        )

    async def check(self) -> None:
        """Raise `ServiceUnavailable` where the split in force is not what it should be."""
        state = self.describe()
        if state.unknown:
            raise ServiceUnavailable(
                f"no model entry {', '.join(state.unknown)}: its share stays with the default entry"
            )
        if state.detail:
            raise ServiceUnavailable(state.detail)

    async def read_anew(self) -> SplitReply:
        """Read the live split now, and describe what is in force."""
        await self._refresh(models=bool(self.shares))
        return self.describe()

    async def _write(
        self, shares: dict[str, float] | None, revision: int | None, caller: Caller, why: str
    ) -> SplitReply:
        kept = await self._store.read()
        before = kept.revision if kept else 0
        split = LiveSplit(
            shares=shares,
            revision=(before if revision is None else revision) + 1,
            by=caller.subject or caller.id,
            at=datetime.now(UTC).replace(microsecond=0),
            why=why,
        )
        await self._store.write(split)
        self._take(split)
        return self.describe()

    async def _follow(self) -> None:
        count = 0
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            # at once while generation has not said its entries yet, as at the start
            look = bool(self.shares) and (self._names is None or count % MODELS_EVERY == 0)
            await self._refresh(models=look)
            count += 1

    async def _refresh(self, *, models: bool) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                self._take(await self._store.read())
            self._trouble = ""
        except (RaglineError, TimeoutError) as error:
            said = error.message if isinstance(error, RaglineError) else f"no answer within {ASK_SECONDS:g} s"
            self._trouble = f"the live split cannot be read, the last known one is in force: {said}"
        if models:
            with contextlib.suppress(RaglineError, TimeoutError):
                await self._look_at_models()
        self._report()

    async def _look_at_models(self) -> None:
        if self._generation is None:
            return
        async with asyncio.timeout(ASK_SECONDS):
            listed = (await self._generation.models()).data
        self._names = frozenset(info.id for info in listed)
        self._default = next((info.id for info in listed if info.default), DEFAULT)

    def _take(self, live: LiveSplit | None) -> None:
        if live == self._live:
            return
        self._live = live
        if live is not None:
            log.info(
                "the split has changed", shares=live.shares, by=live.by, why=live.why, revision=live.revision
            )
            if live.shares is not None and live.shares != self._configured:
                log.warning(
                    "the live split overrides LLM_SPLIT", live=live.shares, configured=self._configured
                )

    def _report(self) -> None:
        """Log what is wrong with the split in force, once."""
        state = self.describe()
        trouble = state.detail or ", ".join(state.unknown)
        if trouble and trouble != self._reported:
            log.error(
                "the split in force is not what it should be", unknown=state.unknown, reason=state.detail
            )
        self._reported = trouble


def route_question(request: Request, question: Question, user: str | None = None) -> Question:
    """Return a request's question with the entry of the split, where it names no model.

    Args:
        request: The request; its app holds the split.
        question: What it asks.
        user: OpenAI's `user` of the request.
    """
    router: SplitRouter = request.app.state.split
    return router.route(question, header=request.headers.get(CONVERSATION_HEADER, ""), user=user or "")


def routing_headers(question: Question) -> dict[str, str]:
    """Write the header of a reply whose entry the split chose; none for any other."""
    return {ROUTED_BY_HEADER: question.routed_by} if question.routed_by else {}
