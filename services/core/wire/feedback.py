"""`/v1/feedback`: what people think of answers: a thumb for one, a vote between several."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from services.core.wire.base import StrictWire, Text, Wire
from services.core.wire.passages import DEFAULT_COLLECTION, CollectionName

MAX_TEXT = 20_000
"""Characters of a text that is kept."""


class JudgedAnswer(StrictWire):
    """An answer as it was shown: `arm` is the model entry, or the arm of a comparison."""

    arm: Text = Field(min_length=1, max_length=200)
    content: Text = Field("", max_length=MAX_TEXT)


class FeedbackRequest(StrictWire):
    """`POST /v1/feedback`.

    `answers` stand as they were shown: one for a thumb, two or more for a vote. `choice` of a thumb is `up`
    or `down`; of a vote the place of the best answer from 0, `both` (all are good) or `neither`. With `blind`
    the person did not know whose answers they were. `person` tells people apart, because votes of one person
    are not independent; left out, the key that was used does.
    """

    question: Text = Field(min_length=1, max_length=MAX_TEXT)
    answers: list[JudgedAnswer] = Field(min_length=1, max_length=16)
    choice: Literal["up", "down", "both", "neither"] | int
    why: Text = Field("", max_length=4000)
    blind: bool = False
    person: Text = Field("", max_length=200)
    collection: CollectionName = DEFAULT_COLLECTION
    context_id: Text = Field("", max_length=200)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        many = len(self.answers) > 1
        if isinstance(self.choice, int) and many and 0 <= self.choice < len(self.answers):
            return self
        if self.choice in ({"both", "neither"} if many else {"up", "down"}):
            return self
        allowed = "a place from 0, both or neither" if many else "up or down"
        raise ValueError(f"choice: for {len(self.answers)} answer(s) it is {allowed}, not {self.choice!r}")


class Feedback(FeedbackRequest):
    """One that was kept; the ids ascend with time."""

    id: str
    at: datetime


class FeedbackPage(Wire):
    """`GET /v1/feedback?after=&limit=`: the oldest first; `next` is the `after` of the next page, if any."""

    feedback: list[Feedback]
    next: str | None = None
