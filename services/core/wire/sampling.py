"""How an answer is drawn: one list of fields, from a request's body to the model's engine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.core.wire.base import Wire

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high"]


class SamplingFields(Wire):
    """What a request's body may say of how its answer is drawn. None leaves it to the model entry.

    Requests inherit these fields. `max_reasoning_tokens` bounds the thinking (0: none); `reasoning_effort`
    is OpenAI's word for it and counts where the number is not set.
    """

    max_tokens: int | None = Field(None, ge=1, le=131072)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    max_reasoning_tokens: int | None = Field(None, ge=0, le=131072)

    @property
    def sampling(self) -> Sampling:
        """The value that is handed on."""
        return Sampling.model_construct(**{name: getattr(self, name) for name in SamplingFields.model_fields})


class Sampling(SamplingFields):
    """A request's sampling as the pipelines, the generation client and traces hand it on.

    `think`: an instruct model, which does not think by itself, is asked to. The answer ends before the first
    of the strings `stop`.
    """

    think: bool = False
    stop: tuple[str, ...] = ()
