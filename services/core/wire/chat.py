"""OpenAI's chat completions, as generation speaks them and the gateway extends them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from services.core.errors import NotFound
from services.core.wire.base import Text, Wire, WireWithNulls
from services.core.wire.features import Features, Logprobs, ToolCall, ToolCallDelta
from services.core.wire.sampling import Sampling, SamplingFields

DIRECT = ":direct"
"""What the name of an entry ends with that is to answer without retrieval."""

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
"""Why an answer ends, in OpenAI's words: clients that validate replies accept no other."""

Ending = FinishReason | Literal["reasoning_truncated"]
"""Why a model's output ends. A limit may end it within its thinking; on the wire that is `length`, and the
outcome says the rest."""

Outcome = (
    Literal["answered", "answered_without_passages", "abstained", "blocked"]
    | Literal["reasoning_truncated", "reasoning_misplaced"]
)
"""What came of a request where OpenAI has no word for it.

`answered_without_passages`: from the conversation, or from what the model knows. `abstained`: nothing
relevant was found, and no model was asked. `reasoning_truncated`: all there is, is thinking.
`blocked`: the guard forbids the question, or the answer from a place on; it ends as `content_filter`.
`reasoning_misplaced`: what a stream has sent as content was, up to a place, thinking; it ends as `length`.
"""


def split_ending(ending: Ending) -> tuple[FinishReason, Outcome]:
    """Say in OpenAI's word and in ours how an output ended."""
    if ending == "reasoning_truncated":
        return "length", "reasoning_truncated"
    return ending, "answered"


class ContentPart(Wire):
    """OpenAI's list form of a message's content; text is understood, and a refusal that a model wrote."""

    type: Literal["text", "input_text", "output_text", "refusal"]
    text: Text = ""
    refusal: Text = ""


class ChatMessage(Wire):
    """A message. One that only calls tools has no content; `tool_call_id` is the call that a tool answers."""

    role: Role
    content: Text | list[ContentPart] | None = ""
    tool_calls: list[ToolCall] | None = None
    tool_call_id: Text | None = None

    @field_validator("content", mode="before")
    @classmethod
    def _name_unknown_parts(cls, content: object) -> object:
        known = ContentPart.model_fields["type"].annotation.__args__  # type: ignore[union-attr]  # a Literal
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and kind not in known:
                raise ValueError(f"parts of type {kind!r} cannot be read, only text")
        return content

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text or part.refusal for part in self.content or ())

    @property
    def concerns_tools(self) -> bool:
        """Whether it calls tools, or is the reply of one."""
        return self.role == "tool" or bool(self.tool_calls)

    def tool_fields(self) -> dict[str, object]:
        """OpenAI's fields of a message that concerns tools, besides role and content."""
        return self.model_dump(include={"tool_calls", "tool_call_id"}, exclude_none=True)


class StreamOptions(Wire):
    include_usage: bool = False


class ChatRequest(SamplingFields, Features):
    """`POST /v1/chat/completions`. `model` names a model entry; empty means the default one.

    `max_reasoning_tokens` bounds the thinking (0: none); `reasoning_effort` is OpenAI's word for it and
    counts where the number is not set. `docs/reasoning.md` says how either is held. With `think` an
    instruct model, which does not think by itself, is asked to; others do as they do.

    A field that is not listed here is refused, because it would change nothing. Those from `user` on are
    accepted and have no effect on the answer.
    """

    model_config = ConfigDict(extra="forbid")

    messages: list[ChatMessage] = Field(min_length=1)
    model: Text = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(None, ge=1, le=131072)
    think: bool = False
    stop: Text | list[Text] | None = None
    n: Literal[1] = 1
    modalities: list[Literal["text"]] | None = None
    verbosity: Literal["medium"] | None = None
    user: Text | None = None
    metadata: dict[str, Text] | None = None
    store: bool | None = None
    service_tier: Text | None = None
    safety_identifier: Text | None = None
    prompt_cache_key: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_nulls_out(cls, body: object) -> object:
        """Take a null for a field that is not there, as OpenAI does."""
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if value is not None}

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


class CompletionTokensDetails(WireWithNulls):
    """`reasoning_tokens` is None where there was thinking that the engine did not count."""

    written_nulls: ClassVar[tuple[str, ...]] = ("reasoning_tokens",)

    reasoning_tokens: int | None = 0


class Usage(Wire):
    """Token counts by the engine's own tokenizer; with `estimated` it counts nothing, and these are estimates
    from the length of the texts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionTokensDetails = Field(default_factory=CompletionTokensDetails)
    estimated: bool = False


class ChunkDelta(Wire):
    role: Role | None = None
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(Wire):
    index: int = 0
    delta: ChunkDelta
    finish_reason: FinishReason | None = None
    logprobs: Logprobs | None = None


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
    outcome: Outcome | None = None
    degraded: list[str] | None = None
    misplaced: int | None = None
    """In the chunk with the finish reason: so many characters of the content, from its start, turned out to
    be thinking whose opener never came. `finish_reason` is `length` then, and `outcome` says it."""
    answer_finish_reason: FinishReason | None = None
    """Where thinking was misplaced: why the answer after it ends."""
    held_back: float | None = None
    """In the chunk with the finish reason: milliseconds for which the text was held back, because nobody knew
    whether it is thinking."""


class AssistantMessage(WireWithNulls):
    """The answer; `content` is null where the model calls tools and says nothing."""

    written_nulls: ClassVar[tuple[str, ...]] = ("content", "refusal")

    role: Literal["assistant"] = "assistant"
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class ChatChoice(WireWithNulls):
    written_nulls: ClassVar[tuple[str, ...]] = ("logprobs",)

    index: int = 0
    message: AssistantMessage
    finish_reason: FinishReason
    logprobs: Logprobs | None = None


class ChatReply(Wire):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage | None = None
    outcome: Outcome = "answered"
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
    bias: bool = False
    penalties: bool = False
    tools: bool = False
    prefills: bool | None = None


class ModelInfo(Wire):
    """One model entry: OpenAI's fields, then Ragline's.

    `fallback` names the entries that answer where this one is down or gives no answer, in order.
    `capabilities` is None until the engine is open. Without `retrieval` it answers without passages.
    `settling` says what is still being found out while it answers: after that its engine may be another one.
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
    retrieval: bool = True
    ready: bool = False
    detail: str = ""
    settling: str = ""


class ModelList(Wire):
    object: Literal["list"] = "list"
    data: list[ModelInfo]

    @property
    def entries(self) -> list[ModelInfo]:
        """The model entries themselves, without the names under which they answer without passages."""
        return [info for info in self.data if info.retrieval]

    def find(self, model: str) -> ModelInfo:
        """Find the entry that a request's `model` names: by name, else alias, else model id.

        Raises:
            NotFound: There is none.
        """
        if not model:
            candidates = [info for info in self.data if info.default] or self.data
        else:
            named = [info for info in self.data if info.id == model]
            with_alias = [info for info in self.data if model in info.aliases]
            candidates = [*named, *with_alias, *(info for info in self.data if info.model_id == model)]
        if candidates:
            return candidates[0]
        raise NotFound(f"no model entry {model!r}: choose one of {', '.join(info.id for info in self.data)}")
