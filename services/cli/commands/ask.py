"""Ask a question about your documents.

The answer is shown as it comes. Then its sources follow, and where the time went. The exit code is 1 where
there is no answer. To abstain, because the documents do not tell, is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError

from services.cli.answers import Answer, AnswerPrinter
from services.cli.console import Output
from services.cli.gateway import call_gateway, wait_for_model
from services.core.client import HttpClient
from services.core.context import set_deadline
from services.core.errors import RaglineError, ServiceError
from services.core.sse import Event
from services.core.wire.answer import AnswerChunk
from services.core.wire.passages import DEFAULT_COLLECTION

PANEL = "Ask"
ANSWER_SECONDS = 900.0
LAST_SECONDS = 5.0
"""Longest wait for the end of a stream whose answer is complete."""


def command(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    *,
    model: Annotated[str, typer.Option(help="A model entry; empty: the default one.")] = "",
    collection: Annotated[str, typer.Option(help="The collection of documents.")] = DEFAULT_COLLECTION,
    top_k: Annotated[int | None, typer.Option(help="Passages to retrieve.")] = None,
    top_n: Annotated[int | None, typer.Option(help="Passages that reach the model.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the gateway's whole reply as JSON.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds until it gives up.", min=1)] = ANSWER_SECONDS,
) -> None:
    asked = Question(question, model=model, collection=collection, top_k=top_k, top_n=top_n)
    output = Output.standard()
    if json:
        call_gateway(lambda client: ask_json(asked, client, output, seconds=timeout))
        return
    answer = call_gateway(lambda client: ask(asked, client, output, seconds=timeout))
    raise typer.Exit(0 if answer.content.strip() or answer.abstained else 1)


class Question:
    """A question with its options; None leaves a number to the gateway."""

    def __init__(
        self, text: str, *, model: str, collection: str, top_k: int | None, top_n: int | None
    ) -> None:
        rag = {"collection": collection, "top_k": top_k, "top_n": top_n}
        self._body = {
            "messages": [{"role": "user", "content": text}],
            "model": model,
            "rag": {name: value for name, value in rag.items() if value is not None},
        }

    def payload(self, *, stream: bool) -> bytes:
        return orjson.dumps({**self._body, "stream": stream})


async def ask_json(
    question: Question, client: HttpClient, output: Output, *, seconds: float = ANSWER_SECONDS
) -> None:
    """Print the gateway's whole reply as JSON. Waits for a model that is being fetched."""
    set_deadline(seconds)
    reply = await wait_for_model(
        lambda: client.post("/v1/chat/completions", question.payload(stream=False)), output, seconds
    )
    try:
        output.json(orjson.loads(reply))
    except orjson.JSONDecodeError:
        raise ServiceError("the reply is not JSON", service=client.service) from None


async def ask(
    question: Question,
    client: HttpClient,
    output: Output,
    *,
    seconds: float = ANSWER_SECONDS,
    on_chunk: Callable[[], None] = lambda: None,
) -> Answer:
    """Print the answer as it comes, then its sources and timings. Returns the whole of it.

    Waits for a model that is being fetched. `on_chunk` is called whenever a piece has come.

    Raises:
        ServiceError: The stream ended before the answer did.
        RaglineError: What the gateway reports, or no answer after `seconds`.
    """
    set_deadline(seconds)
    return await wait_for_model(lambda: _stream_answer(question, client, output, on_chunk), output, seconds)


async def _stream_answer(
    question: Question, client: HttpClient, output: Output, on_chunk: Callable[[], None]
) -> Answer:
    answer = AnswerPrinter(output)
    try:
        async with aclosing(client.stream("/v1/chat/completions", question.payload(stream=True))) as events:
            while (event := await _next_event(events, answer)) is not None and event.data != b"[DONE]":
                on_chunk()
                answer.take(AnswerChunk.model_validate_json(event.data))
    except ValidationError as error:
        issue = error.errors()[0]
        where = ".".join(map(str, issue["loc"]))
        raise ServiceError(
            f"the answer's stream has a chunk that is none ({where}: {issue['msg']})", service=client.service
        ) from None
    finally:
        answer.end_line()
    if not answer.is_complete:
        raise ServiceError("the answer broke off before its end", service=client.service)
    answer.print_evidence()
    return answer.whole()


async def _next_event(events: AsyncGenerator[Event], answer: AnswerPrinter) -> Event | None:
    """Return the stream's next event; None at its end. What goes wrong after a complete answer is its end."""
    try:
        async with asyncio.timeout(LAST_SECONDS if answer.is_complete else None):
            return await anext(events, None)
    except (TimeoutError, RaglineError):
        if answer.is_complete:
            return None
        raise
