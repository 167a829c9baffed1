"""What other programs may use of Ragline: the names in `__all__` are kept stable. See docs/python.md.

`GatewayClient`, its types and its errors need no extra. The other names are loaded when they are first used,
and need an extra:

    langchain     `RaglineRetriever`, `RaglineReranker`; `to_document`, `to_passage` turn one into the other
    evaluation    `read_bundle`, `read_results`: what a run recorded
                  `list_metrics`, `find_metric`: a metric of answers is called with an `AnswerInContext`
                  `score_answers`, `score_text`: the scores by every metric that applies
                  `statistics`: a module of tests, intervals and sample sizes
"""

from __future__ import annotations

import importlib
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Self

import orjson
from pydantic import TypeAdapter

from services.core.client import NO_HEADERS, Body, HttpClient
from services.core.context import separate_request
from services.core.errors import (
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.core.forms import write_form
from services.core.wire.answer import (
    AnswerChunk,
    AnswerReply,
    FileCitation,
    RagOptions,
    SearchReply,
)
from services.core.wire.chat import ChatMessage
from services.core.wire.compare import ArmReply, ArmRequest, CompareReply, GroundingScope
from services.core.wire.dataprep import IngestedFile, IngestReply
from services.core.wire.encoding import decode
from services.core.wire.passages import DEFAULT_COLLECTION, Passage
from services.core.wire.sampling import Sampling

if TYPE_CHECKING:
    from pipelines.evaluation import statistics
    from pipelines.evaluation.analysis.scores import AnswerScores, score_answers, score_text
    from pipelines.evaluation.bundle.recorded import read_results
    from pipelines.evaluation.bundle.records import Bundle, Context
    from pipelines.evaluation.bundle.store import read_bundle
    from pipelines.evaluation.datasets.items import Item
    from pipelines.evaluation.metric import AnswerInContext, AnswerMetric, Metric, find_metric, list_metrics
    from pipelines.evaluation.results import Results
    from pipelines.langchain import RaglineReranker, RaglineRetriever, to_document, to_passage

__all__ = [
    "AnswerChunk", "AnswerInContext", "AnswerMetric", "AnswerReply", "AnswerScores", "ArmReply",
    "ArmRequest", "Bundle", "ChatMessage", "CompareReply", "Context", "DeadlineExceeded", "FileCitation",
    "GatewayClient", "IngestReply", "IngestedFile", "InvalidRequest", "Item", "Metric", "NotFound",
    "Passage", "RagOptions", "RaglineError", "RaglineReranker", "RaglineRetriever", "RateLimited",
    "Results", "Sampling", "SearchReply", "ServiceError", "ServiceUnavailable", "find_metric",
    "list_metrics", "read_bundle", "read_results", "score_answers", "score_text", "statistics",
    "to_document", "to_passage",
]  # fmt: skip

_MODULES = {
    "pipelines.evaluation.analysis.scores": "AnswerScores score_answers score_text",
    "pipelines.evaluation.bundle.recorded": "read_results",
    "pipelines.evaluation.bundle.records": "Bundle Context",
    "pipelines.evaluation.bundle.store": "read_bundle",
    "pipelines.evaluation.datasets.items": "Item",
    "pipelines.evaluation.metric": "AnswerInContext AnswerMetric Metric find_metric list_metrics",
    "pipelines.evaluation.results": "Results",
    "pipelines.evaluation.statistics": "statistics",
    "pipelines.langchain": "RaglineReranker RaglineRetriever to_document to_passage",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
"""The names that are loaded when they are first used, with the module that they are from."""

if not TYPE_CHECKING:  # a type checker would take it for a promise of every name

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'ragline' has no attribute {name!r}")
        try:
            module = importlib.import_module(_MODULE_OF[name])
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] in {"pipelines", "services"}:
                raise
            extra = "langchain" if _MODULE_OF[name] == "pipelines.langchain" else "evaluation"
            raise ImportError(
                f"ragline.{name} needs {error.name}: pip install 'ragline[{extra}]'", name=error.name
            ) from error
        globals()[name] = module if name == "statistics" else getattr(module, name)
        return globals()[name]


_ANSWER = TypeAdapter(AnswerReply)
_CHUNK = TypeAdapter(AnswerChunk)
_SEARCH = TypeAdapter(SearchReply)
_COMPARE = TypeAdapter(CompareReply)
_INGEST = TypeAdapter(IngestReply)


class GatewayClient:
    """Asks a running gateway. Use it as an async context manager, or call `aclose`.

    Calls may run at the same time. Failures are `RaglineError`s: `InvalidRequest` (`NotFound`, `RateLimited`)
    where the request must change or wait, `ServiceError` (`ServiceUnavailable`, `DeadlineExceeded`) where
    a service has failed, which `error.service` names. Cancelling a call, or closing a stream, ends the work.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8888", *, api_key: str = "", seconds: float = 600.0
    ) -> None:
        """Make a client; it connects with its first call.

        Args:
            url: The gateway's address, without `/v1`.
            api_key: The gateway's key, sent as a bearer token.
            seconds: The longest that one call may take, its stream included; the gateway may end it sooner.
        """
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = HttpClient("gateway", url, headers=headers)
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(
        self,
        question: str | Sequence[ChatMessage],
        *,
        model: str = "",
        rag: RagOptions | None = None,
        sampling: Sampling | None = None,
    ) -> AnswerReply:
        """Ask, and wait for the whole answer with its evidence.

        Args:
            question: The question, or a conversation of which the last message asks.
            model: The model entry that answers; empty for the default one.
            rag: Where and how passages are found, or which ones the answer is to come from.
            sampling: How the answer is drawn: its length, temperature, seed, thinking.

        Returns:
            OpenAI's reply with citations (`choices[0].message.citations`), `context`, `timings`, `degraded`
            and `outcome`.
        """
        body = await self._post("/v1/chat/completions", _encode_question(question, model, rag, sampling))
        return decode(_ANSWER, body, "gateway")

    async def stream(
        self,
        question: str | Sequence[ChatMessage],
        *,
        model: str = "",
        rag: RagOptions | None = None,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[AnswerChunk]:
        """Ask, and yield the answer in pieces as they come.

        The arguments are those of `ask`. The first chunk has the `context`; the one with a `finish_reason`
        has citations, `timings` and `usage`.

        Raises:
            ServiceError: Also where the stream ends before the answer does.
        """
        payload = _encode_question(question, model, rag, sampling, stream=True)
        done = False
        async with aclosing(self._http.stream("/v1/chat/completions", payload)) as events:
            with separate_request(uuid.uuid4().hex, self._seconds):
                event = await anext(events, None)
            while event is not None:  # to its very end: a connection with unread bytes cannot be used again
                if event.data == b"[DONE]":
                    done = True
                elif not done:
                    yield decode(_CHUNK, event.data, "gateway")
                event = await anext(events, None)
        if not done:
            raise ServiceError("the gateway ended its stream before the answer was whole", service="gateway")

    async def search(
        self,
        question: str,
        *,
        history: Sequence[ChatMessage] = (),
        model: str = "",
        rag: RagOptions | None = None,
    ) -> SearchReply:
        """Find the passages that an answer would come from; no model is asked.

        Args:
            question: What to search for.
            history: The conversation before it, where questions are rewritten.
            model: The model entry that rewrites.
            rag: Where and how to search.

        Returns:
            The passages (`context.passages`, best first) and the times of the stages.
        """
        options = (rag or RagOptions()).model_dump(exclude_none=True)
        request = {"question": question, "history": _dump(history), "model": model, "rag": options}
        return decode(_SEARCH, await self._post("/v1/search", orjson.dumps(request)), "gateway")

    async def compare(
        self,
        question: str,
        arms: Sequence[str | ArmRequest],
        *,
        history: Sequence[ChatMessage] = (),
        rag: RagOptions | None = None,
        grounding: GroundingScope = "all",
        serial: bool = False,
        cold: bool = True,
    ) -> CompareReply:
        """Ask several models one question from the same passages.

        Args:
            question: The question.
            arms: The models; `large@256` is short for the entry `large` with a thinking budget of 256 tokens.
            history: The conversation before the question.
            rag: Where and how passages are found, or which ones the answers are to come from.
            grounding: What is held against the passages: nothing, the answers, or the thinking too.
            serial: Ask one arm after another, so that one's load is not another's latency.
            cold: Begin every arm's prompt with a line of its own, so that no cache helps one of them.

        Returns:
            An answer for each arm, in their order, and the differences to the first arm.
        """
        request = {
            "question": question,
            "arms": [arm if isinstance(arm, str) else arm.model_dump(exclude_none=True) for arm in arms],
            "history": _dump(history),
            "rag": (rag or RagOptions()).model_dump(exclude_none=True),
            "grounding": grounding,
            "serial": serial,
            "cold": cold,
        }
        return decode(_COMPARE, await self._post("/v1/compare", orjson.dumps(request)), "gateway")

    async def upload(
        self, files: Iterable[Path | tuple[str, bytes]], *, collection: str = DEFAULT_COLLECTION
    ) -> IngestReply:
        """Bring documents in, and wait until they are searchable; one of the same name is replaced.

        Args:
            files: Files to read, which are named by their file names, or names with their content.
            collection: Where the documents go.

        Returns:
            What became of each file, in their order; `error` of one that has failed says why.

        Raises:
            RaglineError: All files have failed; it is the first one's error.
            OSError: A file cannot be read.
        """
        named = [(file.name, file) if isinstance(file, Path) else file for file in files]
        headers, form = write_form({"collection": collection}, named)
        return decode(_INGEST, await self._post("/v1/documents", form, headers=headers), "gateway")

    async def _post(self, path: str, payload: Body, *, headers: Mapping[str, str] = NO_HEADERS) -> bytes:
        with separate_request(uuid.uuid4().hex, self._seconds):
            return await self._http.post(path, payload, headers=headers)


def _encode_question(
    question: str | Sequence[ChatMessage],
    model: str,
    rag: RagOptions | None,
    sampling: Sampling | None,
    *,
    stream: bool = False,
) -> bytes:
    messages = [ChatMessage(role="user", content=question)] if isinstance(question, str) else question
    request = {
        "messages": _dump(messages),
        "model": model,
        "rag": (rag or RagOptions()).model_dump(exclude_none=True),
        "stream": stream,
    }
    return orjson.dumps(request | (sampling or Sampling()).model_dump(exclude_defaults=True))


def _dump(messages: Sequence[ChatMessage]) -> list[dict[str, object]]:
    return [message.model_dump() for message in messages]
