"""`POST /v1/compare`: one question, one frozen context, several arms."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from services.core.errors import ErrorDetail
from services.core.wire.answer import FileCitation, FrozenContext, RagOptions, Timings
from services.core.wire.base import StrictWire, Text, Wire
from services.core.wire.chat import ChatMessage, Ending, Usage
from services.core.wire.grounding import AnswerGroundedness
from services.core.wire.sampling import SamplingFields

ArmName = Text
ArmStatus = Literal["answered", "abstained", "reasoning_truncated", "failed"]
GroundingScope = Literal["off", "answer", "all"]
"""What is judged against the passages: nothing, the answer, or the answer and the thinking before it."""


class _ArmName(StrictWire):
    name: ArmName = ""
    model: Text = ""
    prompt: Text = ""


class ArmRequest(SamplingFields, _ArmName):
    """A column of the comparison. `name` tells it apart (the model's where left out), `model` is a model
    entry (the default one where left out), `prompt` a strategy; the rest as in `/v1/chat/completions`."""


class CompareRequest(StrictWire):
    """An arm may be short for its object: `small`, `small+cite`, `large@512` (a thinking budget).

    `serial`: one arm after another, so that one's load is not another's latency. `cold`: every arm's
    prompt begins with a line of its own, so that none finds the passages in a cache that another filled.
    """

    question: Text = Field(min_length=1)
    arms: list[ArmRequest | Text] = Field(min_length=1, max_length=16)
    history: list[ChatMessage] = Field(default_factory=list)
    grounding: GroundingScope = "all"
    rag: RagOptions = Field(default_factory=RagOptions)
    serial: bool = False
    cold: bool = True
    stream: bool = False


class ArmReply(Wire):
    """What one arm made of the context whose id is `context_id`; `error` where `status` is failed.

    `model` is the entry that answered. Earlier recordings call the citations `annotations`, and have
    the finish reason `reasoning_truncated`. `timings` hold the search, which all arms share, and this arm's
    own.
    `groundedness` is judged afterwards and in no timing; where it could not be, `groundedness_missing` says
    why, and both are None where it was not asked for or where there is no answer. An event `arm` has neither.
    """

    arm: ArmName
    model: str = ""
    prompt: str = ""
    status: ArmStatus
    context_id: str
    content: str = ""
    reasoning_content: str | None = None
    finish_reason: Ending | None = None
    citations: list[FileCitation] = Field(
        default_factory=list, validation_alias=AliasChoices("citations", "annotations")
    )
    usage: Usage | None = None
    timings: Timings | None = None
    degraded: list[str] = Field(default_factory=list)
    error: ErrorDetail | None = None
    groundedness: AnswerGroundedness | None = None
    groundedness_missing: str | None = None


class ArmDifference(Wire):
    """An arm minus the first arm: milliseconds, tokens, the share of supported sentences (from -1 to 1) and
    the number of contradicted ones; None where either has no such figure."""

    arm: ArmName
    ttft: float | None = None
    ttfo: float | None = None
    e2el: float | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    share_supported: float | None = None
    contradicted: int | None = None
    same_answer: bool = False


class CompareReply(Wire):
    """`differences` are to the first arm; one question shows what happened, not what is better."""

    question: str
    context: FrozenContext
    timings: Timings
    serial: bool
    cold: bool
    arms: list[ArmReply]
    differences: list[ArmDifference]
    degraded: list[str] = Field(default_factory=list)


class ArmGroundedness(Wire):
    """An event `groundedness` of the stream: how an arm's answer rests on the passages, or why not."""

    arm: ArmName
    groundedness: AnswerGroundedness | None = None
    missing: str | None = None


class ArmDelta(Wire):
    """An event `delta` of the stream: a piece of one arm's output, in one of its channels."""

    arm: ArmName
    content: str | None = None
    reasoning_content: str | None = None
