"""What OPEA's own LLM service takes at `/v1/chat/completions` in place of messages: a text, with documents.

Three forms: `messages` as a text; `query` with `documents` and a `chat_template`; a reranker's reply, which
has `initial_query` and `retrieved_docs`. They are answered as text completions, in a stream where `stream` is
left out, as there. Messages in a list are OpenAI's, and so is their reply.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, ClassVar

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from services.core.errors import NotFound
from services.core.sse import format_event
from services.core.wire.base import Text, Wire
from services.core.wire.chat import ChatReply, ChatRequest
from services.generation.entries import Entries, ModelEntry

IGNORED_HEADER = "x-ragline-ignored"
"""The request's fields that changed nothing, by name."""
CONTEXT_PROMPT = (
    "Answer the question from the search results alone. If they do not hold the answer, say that you do not "
    "know.\n\nSearch results:\n{context}\n\nQuestion: {question}"
)
_PLACE = re.compile(r"\{(\w*)\}")
_PASSED = ("model", "temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_ZERO_IS_ABSENT = ("max_tokens", "max_new_tokens", "top_p", "frequency_penalty", "presence_penalty")


def _read_text(document: object) -> object:
    return document.get("text") if isinstance(document, dict) else document


Document = Annotated[Text, BeforeValidator(_read_text)]
"""A text, or an object with one."""


class TextRequest(Wire):
    """One of the three forms. Null, an empty text, and 0 where it would mean nothing are the default."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    messages: Text = ""
    query: Text = ""
    initial_query: Text = ""
    documents: list[Document] = Field(default_factory=list)
    retrieved_docs: list[Document] = Field(default_factory=list)
    chat_template: Text = ""
    max_tokens: int | None = None
    max_new_tokens: int | None = None
    stream: bool | None = None
    streaming: bool | None = None
    stop: Text | list[Text] | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_defaults_out(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        kept = {name: value for name, value in body.items() if value is not None and value != ""}
        return {name: value for name, value in kept.items() if value != 0 or name not in _ZERO_IS_ABSENT}

    @model_validator(mode="after")
    def _check(self) -> TextRequest:
        if not self.question:
            raise ValueError("there is no question: send messages, query or initial_query with a text in it")
        unknown = {name for name in _PLACE.findall(self.chat_template) if name not in {"context", "question"}}
        if unknown:
            raise ValueError(
                f"chat_template: {{{min(unknown)}}} is not known: write {{context}} and {{question}}"
            )
        return self

    @property
    def question(self) -> str:
        return self.messages or self.query or self.initial_query

    @property
    def ignored(self) -> list[str]:
        """The names of the fields that say something and change nothing."""
        return sorted(
            name for name, value in (self.model_extra or {}).items() if value and name not in _PASSED
        )

    def write_prompt(self) -> str:
        """Write the question into its template, with the documents where the template wants them."""
        documents = self.documents or self.retrieved_docs
        template = self.chat_template or (CONTEXT_PROMPT if documents else "{question}")
        values = {"context": "\n".join(documents), "question": self.question}
        # in one go: what a document holds is no place of the template
        return _PLACE.sub(lambda place: values[place[1]], template)

    def to_chat(self) -> dict[str, object]:
        """Say it as the fields of a request with messages."""
        extra = self.model_extra or {}
        chosen = self.stream if self.stream is not None else self.streaming
        fields: dict[str, object] = {name: extra[name] for name in _PASSED if name in extra}
        fields["messages"] = [{"role": "user", "content": self.write_prompt()}]
        fields["stream"] = True if chosen is None else chosen
        fields["max_tokens"] = self.max_tokens or self.max_new_tokens
        fields["stop"] = self.stop
        return fields


class GenerationRequest(ChatRequest):
    """A request for a completion, in OpenAI's form or in one of OPEA's; `text_form` says which it was."""

    text_form: bool = Field(False, description="set by the service: the request was one of OPEA's texts")
    ignored: list[str] = Field(default_factory=list, description="set by the service, with text_form")

    @model_validator(mode="before")
    @classmethod
    def _take_text(cls, body: object) -> object:
        if not isinstance(body, dict) or not _is_text_form(body):
            return body
        try:
            asked = TextRequest.model_validate(body)
        except ValidationError as error:
            issues = [(".".join(map(str, issue["loc"])), issue["msg"]) for issue in error.errors()[:5]]
            told = "; ".join(f"{where}: {message}" if where else message for where, message in issues)
            raise ValueError(told) from None
        return {**asked.to_chat(), "text_form": True, "ignored": asked.ignored}

    def find_entry(self, entries: Entries) -> ModelEntry:
        """Find the entry that answers. A text's `model` that is none is ignored, as OPEA ignores all of them.

        Raises:
            NotFound: There is no such entry, and the request is OpenAI's.
        """
        try:
            return entries.find(self.model)
        except NotFound:
            if not self.text_form:
                raise
            return entries.default


def _is_text_form(body: dict[str, object]) -> bool:
    if "messages" in body:
        return isinstance(body["messages"], str)
    return "query" in body or "initial_query" in body


def write_text_reply(reply: ChatReply) -> dict[str, object]:
    """Write a reply as a text completion; the thinking stands beside it."""
    whole = reply.model_dump()
    choice = whole["choices"][0]
    message = choice["message"]
    thought = message.get("reasoning_content")
    text = {
        "index": 0,
        "text": message.get("content") or "",
        "logprobs": None,
        "finish_reason": choice["finish_reason"],
    }
    more = {"reasoning_content": thought} if thought else {}
    return {**whole, "object": "text_completion", "choices": [text], **more}


async def write_text_chunks(events: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Write the chunks of a chat completion as those of a text completion; other events stay as they are."""
    async with aclosing(events):
        async for event in events:
            yield _write_text_chunk(event) if event.startswith(b"data: {") else event


def _write_text_chunk(event: bytes) -> bytes:
    chunk = orjson.loads(event[len(b"data: ") :])
    thought = ""
    for choice in chunk["choices"]:
        delta = choice.pop("delta")
        thought += delta.get("reasoning_content") or ""
        choice |= {"text": delta.get("content") or "", "logprobs": None}
    more = {"reasoning_content": thought} if thought else {}
    return format_event(orjson.dumps({**chunk, "object": "text_completion", **more}))
