"""OpenAI's chat completions, as generation speaks them and the gateway extends them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.core.wire.base import Text, Wire
from services.core.wire.sampling import Sampling, SamplingFields

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "content_filter", "tool_calls", "reasoning_truncated"]


class ContentPart(Wire):
    """OpenAI's list form of a message's content; only text parts are understood."""

    type: Literal["text"]
    text: Text


class ChatMessage(Wire):
    role: Role
    content: Text | list[ContentPart] = ""

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class StreamOptions(Wire):
    include_usage: bool = False


class ChatRequest(SamplingFields):
    """`POST /v1/chat/completions`. `model` names a model entry; empty means the default one.

    `max_reasoning_tokens` bounds the thinking (0: none); `reasoning_effort` is OpenAI's word for it and
    counts where the number is not set. `docs/reasoning.md` says how either is held. With `think` an
    instruct model, which does not think by itself, is asked to; others do as they do.
    """

    messages: list[ChatMessage] = Field(min_length=1)
    model: Text = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(None, ge=1, le=131072)
    think: bool = False
    stop: Text | list[Text] | None = None
    n: Literal[1] = 1

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or [])

    @property
    def sampling(self) -> Sampling:
        own = {"max_tokens": self.token_limit, "think": self.think, "stop": tuple(self.stops)}
        return super().sampling.model_copy(update=own)


class CompletionTokensDetails(Wire):
    """`reasoning_tokens` is None where there was thinking that the engine did not count."""

    reasoning_tokens: int | None = 0


class Usage(Wire):
    """Token counts by the engine's own tokenizer; never a count of stream chunks."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionTokensDetails = Field(default_factory=CompletionTokensDetails)


class ChunkDelta(Wire):
    role: Role | None = None
    content: str | None = None
    reasoning_content: str | None = None


class ChunkChoice(Wire):
    index: int = 0
    delta: ChunkDelta
    finish_reason: FinishReason | None = None


class ChatChunk(Wire):
    """One `data:` event of a stream; the last before `[DONE]` carries `usage` and no choices.

    Where another entry answers than the wanted one, `degraded` of the chunk with which it begins and of
    the one with the finish reason has `generation:<entry>` for each that could not. `model` is the entry
    at work: it changes where one has thought and given no answer.
    """

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice] = Field(default_factory=list)
    usage: Usage | None = None
    degraded: list[str] | None = None


class AssistantMessage(Wire):
    role: Literal["assistant"] = "assistant"
    content: str
    reasoning_content: str | None = None


class ChatChoice(Wire):
    index: int = 0
    message: AssistantMessage
    finish_reason: FinishReason


class ChatReply(Wire):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage | None = None
    """None where the engine's server does not count tokens."""
    degraded: list[str] = Field(default_factory=list)


class ModelCapabilities(Wire):
    """What an entry's engine can do; see `services.generation.backend.Capabilities`."""

    embedded: bool = False
    seed: bool = False
    native_reasoning: bool = False
    native_budget: bool = False
    continuation: bool = False
    switch: bool = False
    effort: bool = False
    grammar: bool = False
    logprobs: bool = False


class ModelInfo(Wire):
    """One model entry: OpenAI's fields, then Ragline's.

    `fallback` names the entries that answer where this one is down or gives no answer, in order.
    `capabilities` is None until the engine is open.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "ragline"
    engine: str = ""
    model_id: str = ""
    profile: str = ""
    aliases: list[str] = Field(default_factory=list)
    fallback: list[str] = Field(default_factory=list)
    capabilities: ModelCapabilities | None = None
    default: bool = False
    ready: bool = False
    detail: str = ""


class ModelList(Wire):
    object: Literal["list"] = "list"
    data: list[ModelInfo]
