"""OpenAI's Responses API: the request, and how it is said as one of chat completions.

Nothing is stored, so that what refers to stored responses is refused. Thinking that a client sends back is
left out: no model is shown what one has thought.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from services.core.wire.answer import AnswerRequest, RagOptions
from services.core.wire.base import Text, Wire
from services.core.wire.chat import ChatMessage, ContentPart
from services.core.wire.features import (
    FunctionCall,
    FunctionDefinition,
    JsonObject,
    JsonSchemaForm,
    NamedFunction,
    NamedTool,
    ResponseFormat,
    Tool,
    ToolCall,
)
from services.core.wire.sampling import ReasoningEffort

LOGPROBS = "message.output_text.logprobs"


class InputMessage(ChatMessage):
    """A message of the input."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]


class InputCall(Wire):
    """A call of a function that the model made before."""

    type: Literal["function_call"]
    call_id: Text
    name: Text
    arguments: Text = ""


class InputCallOutput(Wire):
    """What came of the call."""

    type: Literal["function_call_output"]
    call_id: Text
    output: Text | list[ContentPart] = ""


class InputReasoning(Wire):
    """Thinking of before; it is left out."""

    type: Literal["reasoning"]


def _kind_of(item: object) -> str:
    kind = item.get("type") if isinstance(item, dict) else getattr(item, "type", None)
    return str(kind or "message")


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[InputCall, Tag("function_call")]
    | Annotated[InputCallOutput, Tag("function_call_output")]
    | Annotated[InputReasoning, Tag("reasoning")],
    Discriminator(_kind_of),
]


class FunctionTool(FunctionDefinition):
    """A function that the model may call."""

    type: Literal["function"]

    def to_chat(self) -> Tool:
        """Say it as chat completions do."""
        fields = self.model_dump(exclude={"type"})
        return Tool(type="function", function=FunctionDefinition.model_validate(fields))


class FunctionChoice(NamedFunction):
    """The one function that the model must call."""

    type: Literal["function"]


class TextFormat(Wire):
    """The form of the answer; `schema_` is written as `schema`."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: Text = "answer"
    description: Text | None = None
    schema_: JsonObject = Field(default_factory=dict, alias="schema")
    strict: bool | None = None

    def to_chat(self) -> ResponseFormat:
        """Say it as chat completions do."""
        if self.type != "json_schema":
            return ResponseFormat(type=self.type)
        form = JsonSchemaForm(
            name=self.name, description=self.description, schema=self.schema_, strict=self.strict
        )
        return ResponseFormat(type=self.type, json_schema=form)


class _Strict(Wire):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", protected_namespaces=())


class TextOptions(_Strict):
    format: TextFormat = Field(default_factory=TextFormat)
    verbosity: Literal["medium"] | None = None


class ReasoningOptions(_Strict):
    """There are no summaries: the thinking itself is in the reply."""

    effort: ReasoningEffort | None = None
    summary: Literal["auto"] | None = None


class ResponsesRequest(_Strict):
    """`POST /v1/responses`. A field that is not listed is refused; those from `user` on change nothing."""

    input: Text | list[InputItem] = Field(min_length=1)
    model: Text = ""
    instructions: Text | None = None
    stream: bool = False
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_output_tokens: int | None = Field(None, ge=1, le=131072)
    reasoning: ReasoningOptions = Field(default_factory=ReasoningOptions)
    text: TextOptions = Field(default_factory=TextOptions)
    tools: list[FunctionTool] = Field(default_factory=list)
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice = "auto"
    parallel_tool_calls: bool | None = None
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] = Field(
        default_factory=list
    )
    top_logprobs: int | None = Field(None, ge=0, le=20)
    truncation: Literal["disabled"] = "disabled"
    background: Literal[False] = False
    rag: RagOptions = Field(default_factory=RagOptions)
    user: Text | None = None
    metadata: dict[str, Text] = Field(default_factory=dict)
    store: bool | None = None
    stream_options: JsonObject | None = None
    service_tier: Text | None = None
    safety_identifier: Text | None = None
    prompt_cache_key: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_nulls_out(cls, body: object) -> object:
        if not isinstance(body, dict):
            return body
        return {name: value for name, value in body.items() if value is not None}

    def to_chat(self) -> AnswerRequest:
        """Say it as a request for chat completions.

        Raises:
            ValidationError: The input has no message.
        """
        choice = self.tool_choice
        fields: dict[str, object] = {
            "messages": self._write_messages(),
            "model": self.model,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_output_tokens,
            "reasoning_effort": self.reasoning.effort,
            "response_format": self.text.format.to_chat(),
            "logprobs": True if LOGPROBS in self.include else None,
            "top_logprobs": self.top_logprobs,
            "rag": self.rag,
        }
        if self.tools:
            fields["tools"] = [tool.to_chat() for tool in self.tools]
            fields["parallel_tool_calls"] = self.parallel_tool_calls
        if isinstance(choice, FunctionChoice):
            fields["tool_choice"] = NamedTool(type="function", function=NamedFunction(name=choice.name))
        elif self.tools or choice == "required":
            fields["tool_choice"] = choice
        return AnswerRequest.model_validate(fields)

    def _write_messages(self) -> list[ChatMessage]:
        messages = [ChatMessage(role="system", content=self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*messages, ChatMessage(role="user", content=self.input)]
        for item in self.input:
            if isinstance(item, InputMessage):
                messages.append(ChatMessage(role=item.role, content=item.text))
            elif isinstance(item, InputCall):
                function = FunctionCall(name=item.name, arguments=item.arguments)
                call = ToolCall(id=item.call_id, function=function)
                before = messages[-1] if messages else None
                if before is not None and before.tool_calls:  # calls made at once are one message's
                    messages[-1] = before.model_copy(update={"tool_calls": [*before.tool_calls, call]})
                else:
                    messages.append(ChatMessage(role="assistant", content=None, tool_calls=[call]))
            elif isinstance(item, InputCallOutput):
                text = ChatMessage(role="tool", content=item.output).text
                messages.append(ChatMessage(role="tool", content=text, tool_call_id=item.call_id))
        return messages
