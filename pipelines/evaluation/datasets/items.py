"""Question sets: what one is made of, and how a sample of it is drawn."""

from __future__ import annotations

import random
from string import ascii_uppercase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.core.errors import InvalidRequest
from services.core.wire.base import Text

Kind = Literal["exact", "numeric", "choice", "expression", "abstain", "free"]
"""How the answer is compared: words, a number, an option, a formula or statement, a refusal, not at all."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """A passage or document that questions are about."""

    id: str
    text: Text
    title: Text = ""


class Item(_Frozen):
    """A question with all that is needed to ask it and to score its answer.

    `answers` are the accepted ones, any of them; empty where the question is not answerable or nobody
    knows. With `options` the one answer is one of them, word for word. `passages` come with the question,
    as its frozen context; `relevant` are ids in the data set's corpus that a retrieval should find. Items
    of one `group` are not independent of each other: the statistics cluster by it.
    """

    id: str
    question: Text
    kind: Kind
    answers: tuple[Text, ...] = ()
    options: tuple[Text, ...] = ()
    passages: tuple[Source, ...] = ()
    relevant: tuple[str, ...] = ()
    group: str = ""
    answerable: bool = True
    meta: dict[str, str] = Field(default_factory=dict)

    @property
    def right_option(self) -> int:
        """The index of the right one among `options`."""
        return self.options.index(self.answers[0])

    @property
    def prompt(self) -> str:
        """The question, with its options lettered below it where it has some."""
        if not self.options:
            return self.question
        lines = (
            f"({letter}) {option}" for letter, option in zip(ascii_uppercase, self.options, strict=False)
        )
        return "\n".join((self.question, "Options:", *lines))


class Dataset(_Frozen):
    """Items in a fixed order. `corpus` is what may be ingested to be retrieved from.

    `twins`: items of one group belong together, and a sample takes whole groups. `licence` and `origin` go
    into every record of a run; `notice` is what its authors want to be kept with it.
    """

    name: str
    items: tuple[Item, ...]
    corpus: tuple[Source, ...] = ()
    twins: bool = False
    origin: str = ""
    licence: str = ""
    notice: str = ""


def check_dataset(dataset: Dataset) -> Dataset:
    """Return it; InvalidRequest where it is empty, has an id twice, or a choice lacks its right option."""
    if not dataset.items:
        raise InvalidRequest(f"the data set {dataset.name!r} has no questions")
    seen: set[str] = set()
    for item in dataset.items:
        if item.id in seen:
            raise InvalidRequest(
                f"the data set {dataset.name!r} has the id {item.id!r} twice: ids are unique"
            )
        seen.add(item.id)
        if item.kind == "choice" and not set(item.answers[:1]) & set(item.options):
            raise InvalidRequest(
                f"question {item.id!r} of {dataset.name!r}: {item.answers[:1]} is none of its options"
            )
    return dataset


def draw_sample(dataset: Dataset, n: int | None, seed: int) -> Dataset:
    """Draw `n` items with `seed`, in the data set's order; all of them where `n` is None.

    Of twins whole groups are drawn, the last cut where `n` asks for it. InvalidRequest where there are fewer.
    """
    if n is None:
        return dataset
    if not 0 < n <= len(dataset.items):
        raise InvalidRequest(
            f"{n} questions of {dataset.name!r} asked for: it has {len(dataset.items)}; choose 1 to that many"
        )
    generator = random.Random(seed)
    if not dataset.twins:
        drawn = {item.id for item in generator.sample(dataset.items, n)}
    else:
        groups: dict[str, list[str]] = {}
        for item in dataset.items:
            groups.setdefault(item.group, []).append(item.id)
        order = generator.sample(list(groups), len(groups))
        drawn = set([item for group in order for item in groups[group]][:n])
    return dataset.model_copy(update={"items": tuple(item for item in dataset.items if item.id in drawn)})
