"""What all wire types share, and what every service says of its dependencies."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not valid Unicode: half a character (surrogate) at {error.start}") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
"""A text that can be sent on: JSON can carry half of a surrogate pair, which no tokenizer takes."""


def _storable(value: str | float) -> str | float:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("the integer does not fit in 64 bits: send it as a string")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a number that can be stored or matched")
    return value


Scalar = Annotated[Text | int | float | bool, AfterValidator(_storable)]
Metadata = dict[Text, Scalar | list[Text]]
Operator = Literal["gte", "gt", "lte", "lt", "not"]
Filter = dict[Text, Scalar | list[Text] | dict[Operator, Scalar | list[Text]]]
"""A metadata filter: every key must match. A list matches any of its values.

`{"gte": 2020, "lt": 2024}` matches numbers of that range, `{"not": "draft"}` whatever is not that value,
or none of a list, also where the key is absent.
"""


class Wire(BaseModel):
    """A type that crosses a service boundary: immutable, unknown fields ignored as HTTP APIs do."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class StrictWire(Wire):
    """A request of our own: an unknown field is the caller's mistake and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class WireWithNulls(Wire):
    """A part of a reply that says null where clients expect a field, also where other nulls are left out."""

    written_nulls: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _write_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        fields: dict[str, object] = handler(self)
        # what is left out and is not null is at its default: that is for whoever left it out
        return {name: None for name in self.written_nulls if getattr(self, name) is None} | fields

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the fields, not the dictionary that they are written as."""
        plain = {name: value for name, value in core_schema.items() if name != "serialization"}
        return handler(plain)


class DependencyHealth(Wire):
    ready: bool
    latency_ms: float
    detail: str = ""
    required: bool = True


class Readiness(Wire):
    """The body of `/health/ready`, with 200 where `ready` and 503 elsewhere.

    `notices` are what whoever runs the service should know, however ready it is.
    """

    service: str
    ready: bool
    dependencies: dict[str, DependencyHealth] = Field(default_factory=dict)
    notices: list[str] = Field(default_factory=list)
