"""OPEA's `/v1/chatqna`: its request, with what ChatQnA reads of it, and its reply in one piece."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from services.core.wire.answer import FileCitation, Timings
from services.core.wire.base import Text, Wire
from services.core.wire.chat import ChatMessage, FinishReason, Outcome, Usage
from services.core.wire.passages import CollectionName
from services.core.wire.retrieval import SearchType

_ZERO_IS_ABSENT = ("max_tokens", "top_p", "k", "top_n", "fetch_k", "lambda_mult", "score_threshold")


class ChatQnARequest(Wire):
    """`POST /v1/chatqna`: one question, or the messages of a conversation whose last one is the user's.

    It streams unless `stream` is false. `k` passages are retrieved and the reranker's best `top_n` answer;
    `search_type` says which threshold counts, and as `mmr` that `k` unlike ones of the `fetch_k` best are
    taken, by `lambda_mult`. `chat_template` is the prompt, with `{context}` and `{question}`, or with
    `{question}` alone: then nothing is searched for. `index_name` is the collection. As in OPEA, null and an
    empty text mean the default, and so does 0 where it would mean nothing.

    Other fields change nothing, as in OPEA; those that say something are named in the reply's header
    `x-ragline-ignored`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    messages: Text | list[ChatMessage] = Field(min_length=1)
    model: Text = ""
    stream: bool = True
    max_tokens: int | None = Field(None, ge=1, le=131072)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = None
    stop: Text | list[Text] | None = None
    k: int | None = Field(None, ge=1, le=200)
    top_n: int | None = Field(None, ge=1, le=50)
    search_type: SearchType = "similarity"
    score_threshold: float | None = Field(None, ge=0, le=1)
    distance_threshold: float | None = Field(None, ge=0, le=1)
    fetch_k: int | None = Field(None, ge=1, le=1000)
    lambda_mult: float | None = Field(None, ge=0, le=1)
    chat_template: Text | None = None
    index_name: CollectionName | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_defaults_out(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        kept = {name: value for name, value in body.items() if value is not None and value != ""}
        for name in _ZERO_IS_ABSENT:
            if kept.get(name) == 0:
                del kept[name]
        return kept

    @property
    def conversation(self) -> list[ChatMessage]:
        """The messages; a text by itself is one of the user's."""
        if isinstance(self.messages, str):
            return [ChatMessage(role="user", content=self.messages)]
        return list(self.messages)

    @property
    def unread(self) -> list[str]:
        """The names of the fields that say something and change nothing."""
        return sorted(name for name, value in (self.model_extra or {}).items() if value)


class ChatQnAMessage(Wire):
    """The answer, without the model's thinking."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatQnAChoice(Wire):
    index: int = 0
    message: ChatQnAMessage
    finish_reason: FinishReason


class ChatQnAReply(Wire):
    """OPEA's reply, then ours: the `entry` that answered, the evidence, and the `ignored` fields."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: Literal["chatqna"] = "chatqna"
    choices: list[ChatQnAChoice]
    usage: Usage
    entry: str
    citations: list[FileCitation]
    timings: Timings
    outcome: Outcome
    degraded: list[str]
    ignored: list[str]
