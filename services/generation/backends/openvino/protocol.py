"""What the service and the engine's process say to each other over two pipes: frames of JSON.

The service sends `Opening` first, then `Start` and `Cancel` as requests come and go; where it closes its
pipe, the process ends. The process answers `Opened`, or a `Failure` without a number where the model does not
open, and then steps of every request. The last frame of a request is a `Step` with a finish reason, a
`Failure` or a `Cancelled`; after it the engine computes nothing for that request.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import orjson
from pydantic import BaseModel, TypeAdapter

from services.core.errors import ErrorDetail, RaglineError, from_detail
from services.generation.backend import Delta, Prompt

HEADER = struct.Struct("<I")
"""The length of the JSON that follows, in bytes."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Which model to open, of which entry, and how.

    `max_context` bounds prompt and answer together, in tokens; `concurrency` is how many requests the engine
    works on at once.
    """

    folder: str
    name: str
    max_context: int
    threads: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Start:
    """A request, under a number of the service's own."""

    number: int
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Cancel:
    """A request that nobody waits for any longer."""

    number: int


@dataclass(frozen=True, slots=True)
class Opened:
    """The model is open."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a request has generated since its last step."""

    number: int
    delta: Delta


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A request that the engine has let go of."""

    number: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed; without a number it is the model, which does not open."""

    number: int | None
    code: str
    message: str

    @classmethod
    def of(cls, number: int | None, error: Exception) -> Failure:
        """Write an error; one that is not Ragline's own is the engine's, a 502."""
        if isinstance(error, RaglineError):
            return cls(number, error.code, error.message)
        return cls(number, "bad_gateway", f"openvino failed: {error}")

    def to_error(self) -> RaglineError:
        """Make the exception that was raised in the process."""
        return from_detail(ErrorDetail(type="", code=self.code, message=self.message), service="openvino")


Message = Opening | Start | Cancel | Opened | Step | Cancelled | Failure

_KINDS: dict[str, TypeAdapter[Message]] = {
    kind.__name__: TypeAdapter(kind) for kind in (Opening, Start, Cancel, Opened, Step, Cancelled, Failure)
}


def _dump_model(value: object) -> dict[str, object]:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError


def encode_frame(message: Message) -> bytes:
    """Write a message with its length before it."""
    body = orjson.dumps([type(message).__name__, message], default=_dump_model)
    return HEADER.pack(len(body)) + body


def decode_body(body: bytes) -> Message:
    """Read a frame's JSON. Raises `ValueError` where it is no message."""
    kind, fields = orjson.loads(body)
    if kind not in _KINDS:
        raise ValueError(f"a frame of the unknown kind {kind!r}")
    return _KINDS[kind].validate_python(fields)
