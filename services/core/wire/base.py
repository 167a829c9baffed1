"""What all wire types share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Scalar = str | int | float | bool
Metadata = dict[str, Scalar | list[str]]
Filter = dict[str, Scalar | list[str]]
"""A metadata filter: every key must match; a list matches any of its values."""


class Wire(BaseModel):
    """A type that crosses a service boundary: immutable, unknown fields ignored as HTTP APIs do."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class StrictWire(Wire):
    """A request of our own: an unknown field is the caller's mistake and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
