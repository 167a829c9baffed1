"""What OpenAI's chat requests may ask for that not every engine can do: tools, a form, log probabilities."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from services.core.wire.base import Text, Wire

JsonObject = dict[str, JsonValue]


class FunctionCall(Wire):
    """A call of a function, whole; `arguments` is JSON as the model wrote it."""

    name: Text
    arguments: Text = ""


class ToolCall(Wire):
    """A call of a tool in an assistant's message."""

    id: Text
    type: Literal["function"] = "function"
    function: FunctionCall


class FunctionCallDelta(Wire):
    """A piece of a call: the name comes in the first one, the arguments in all."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Wire):
    """A piece of the call number `index` in a stream."""

    index: int = 0
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCallDelta = Field(default_factory=FunctionCallDelta)


class TokenLogprob(Wire):
    """The log probability of a token of the answer, and those of the likeliest at its place."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[TokenLogprob] = Field(default_factory=list)


class Logprobs(Wire):
    """The log probabilities of a choice, or of a piece of it."""

    content: list[TokenLogprob] = Field(default_factory=list)


class FunctionDefinition(Wire):
    """A function that a model may call; `parameters` is a JSON schema."""

    name: Text
    description: Text | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class Tool(Wire):
    """A tool that a model may call; only functions are known."""

    type: Literal["function"]
    function: FunctionDefinition


class NamedFunction(Wire):
    name: Text


class NamedTool(Wire):
    """The one tool that a model must call."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchemaForm(Wire):
    """A JSON schema by OpenAI's rules; `schema_` is written as `schema`."""

    name: Text = "answer"
    description: Text | None = None
    schema_: JsonObject = Field(default_factory=dict, alias="schema")
    strict: bool | None = None


class ResponseFormat(Wire):
    """The form of the answer: free text, any JSON object, or what a schema says."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaForm | None = None


class Features(Wire):
    """The fields of a request that not every engine can honour. None asks for nothing.

    Requests inherit these fields. An engine that cannot do what is asked refuses the request by the field's
    name.
    """

    tools: list[Tool] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    logit_bias: dict[str, float] | None = None
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)

    @property
    def features(self) -> Features:
        """The value that is handed on."""
        return Features.model_construct(**{name: getattr(self, name) for name in Features.model_fields})

    def json_schema(self) -> JsonObject | None:
        """Give the JSON schema of the answer, None for free text; any JSON object has one too."""
        form = self.response_format
        if form is None or form.type == "text":
            return None
        if form.type == "json_object" or form.json_schema is None:
            return {"type": "object"}
        return form.json_schema.schema_

    def wanted(self) -> dict[str, JsonValue]:
        """List what is asked for, by OpenAI's names and in their JSON; what asks for nothing is left out.

        That is no tools, free text, no log probabilities, no bias and no penalty.
        """
        own = Features.model_fields.keys()
        fields: dict[str, JsonValue] = self.model_dump(
            mode="json", include=set(own), exclude_none=True, by_alias=True
        )
        if not fields.get("tools"):
            for name in ("tools", "parallel_tool_calls"):
                fields.pop(name, None)
            if fields.get("tool_choice") in ("none", "auto"):  # a tuple: a choice by name is no text
                fields.pop("tool_choice")
        if self.response_format is not None and self.response_format.type == "text":
            fields.pop("response_format")
        return {name: value for name, value in fields.items() if value or name == "top_logprobs"}
