"""What a metric declares about itself, and how metrics are found.

A metric is a function under its declaration, in a file of `pipelines/evaluation/metrics/`:

    @answer_metric("words", family="shape", order=20, higher_is_better=None, unit="words")
    def words(answer: AnswerInContext) -> float:
        \"""The words of an answer, without its thinking.\"""
        return float(len(answer.text.split()))

The file is found by listing the folder. Nothing else lists metrics: results, report, gate and docs read the
declarations, and the first paragraph of the docstring is the metric's row in docs/evaluation/metrics.md.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Generic, Literal, Required, TypedDict, TypeVar, Unpack, cast

from pipelines.evaluation import metrics
from pipelines.evaluation.bundle.records import Context
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.reading.refusals import (
    abstains,
    answers_beside_declining,
    quotes_negative_reference,
    says_anything,
)
from pipelines.evaluation.reading.text import strip_reasoning
from services.core.wire.compare import ArmReply

T = TypeVar("T")

Family = Literal["quality", "latency", "shape", "context"]
FAMILIES: Mapping[str, str] = {
    "quality": "Quality",
    "latency": "Latency and tokens",
    "shape": "Shape of the answers",
    "context": "Context, the same for all arms",
}
"""Each family's title, in the order in which results have them."""


@dataclass(frozen=True)
class AnswerInContext:
    """A reply that did not fail, with its question and its passages: all that a metric may look at."""

    item: Item
    context: Context
    reply: ArmReply
    _readings: dict[object, object] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def text(self) -> str:
        """The answer without its thinking."""
        return strip_reasoning(self.reply.content)

    @cached_property
    def declined(self) -> bool:
        """Whether the answer says that there is no answer. An empty one says nothing, nor does one that is
        all citation marks; one that gives a reference does not decline, whatever the reference says:
        "none"."""
        if not says_anything(self.text) or quotes_negative_reference(
            self.text, (*self.item.answers, *self.item.options)
        ):
            return False
        if not abstains(self.text, nothing_declines=self.item.kind in {"exact", "abstain"}):
            return False
        item = self.item
        return item.kind not in {"exact", "abstain"} or not answers_beside_declining(
            self.text, item.answers, item.question
        )

    @cached_property
    def passages(self) -> tuple[str, ...]:
        """The texts of the passages, in the order of their numbers."""
        return tuple(passage.shown for passage in self.context.context.passages)

    def read_once(self, read: Callable[[AnswerInContext], T]) -> T:
        """What `read` makes of this answer, computed once for all metrics that share it."""
        if read not in self._readings:
            self._readings[read] = read(self)
        return cast("T", self._readings[read])


@dataclass(frozen=True)
class Condition(Generic[T]):
    """Where a metric applies; `words` completes the sentence "it counts for ..." in docs."""

    words: str
    holds: Callable[[T], bool]


REFERENCES = Condition[Item](
    "questions with reference answers", lambda item: item.answerable and bool(item.answers)
)
UNANSWERABLE = Condition[Item]("questions without an answer", lambda item: not item.answerable)
WORDS = Condition[Item]("answers in words", lambda item: item.kind == "exact")
NOT_EMPTY = Condition[AnswerInContext](
    "answers that are not empty", lambda answer: bool(answer.reply.content.strip())
)
FROM_PASSAGES = Condition[AnswerInContext](
    "answers from passages that do not decline",
    lambda answer: bool(answer.passages) and NOT_EMPTY.holds(answer) and not answer.declined,
)
ASKED_TO_CITE = Condition[AnswerInContext](
    "prompts that ask for citations", lambda answer: "cite" in answer.reply.prompt.split("-")
)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric's declaration.

    Attributes:
        name: In results, policies and docs.
        family: Metrics of one family are corrected together (Holm), but for primary ones.
        order: Its place in its family, after the primary one.
        higher_is_better: None where neither end is better.
        unit: Empty for shares from 0 to 1, else "ms", "tokens", "words".
        primary: Named before any run; corrected over the arms alone.
        heading: Its name in a table; `label`: in a sentence; `title`: over a figure and on an axis.
        source: Where its definition is from.
        zero_if_failed: A failed request scores 0, since its user got no answer; else it has no score.
        late_as_bound: A request that timed out counts with the time until then: at least so long it took.
        as_ratio: Arms are also compared as a factor, question by question.
        percentiles: Of which values percentiles are given.
        curve: The report plots the values of all answers as a curve; these words follow the heading above it.
        in_results: False: every answer has the score, but results compare no arms by it.
        description: The first paragraph of its function's docstring.
    """

    name: str
    family: Family
    order: int
    higher_is_better: bool | None
    unit: str = ""
    primary: bool = False
    heading: str = ""
    label: str = ""
    title: str = ""
    source: str = ""
    zero_if_failed: bool = False
    late_as_bound: bool = False
    as_ratio: bool = False
    percentiles: Literal["none", "all", "positive"] = "none"
    curve: str = ""
    in_results: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        heading = self.heading or self.name
        for name, value in (("heading", heading), ("label", heading), ("title", self.name)):
            object.__setattr__(self, name, getattr(self, name) or value)


@dataclass(frozen=True, kw_only=True)
class AnswerMetric(Metric):
    """A metric of one answer. It counts where all conditions on the item and on the answer hold, and where
    its function gives a value."""

    score: Callable[[AnswerInContext], float | None]
    items: tuple[Condition[Item], ...] = ()
    answers: tuple[Condition[AnswerInContext], ...] = ()

    def applies_to(self, item: Item) -> bool:
        """Whether answers to this question are scored."""
        return all(condition.holds(item) for condition in self.items)

    def __call__(self, answer: AnswerInContext) -> float | None:
        """The answer's score; None where the metric does not apply to it."""
        if not self.applies_to(answer.item) or not all(condition.holds(answer) for condition in self.answers):
            return None
        return self.score(answer)


@dataclass(frozen=True, kw_only=True)
class ContextMetric(Metric):
    """A metric of a question's passages, the same for all arms: they are not compared by it."""

    score: Callable[[Item, Context], float | None]


@dataclass(frozen=True, kw_only=True)
class TwinsMetric(Metric):
    """A metric of questions that look alike and are answered otherwise, by their scores in the metric `of`.

    `score` gets one arm's scores of one repeat, one for each twin; the group is then what is counted.
    """

    score: Callable[[Sequence[float]], float]
    of: str


class Declaration(TypedDict, total=False):
    """What is declared of any metric, as in `Metric`."""

    family: Required[Family]
    order: Required[int]
    higher_is_better: Required[bool | None]
    unit: str
    primary: bool
    heading: str
    label: str
    title: str
    source: str
    zero_if_failed: bool
    late_as_bound: bool
    as_ratio: bool
    percentiles: Literal["none", "all", "positive"]
    curve: str
    in_results: bool


def answer_metric(
    name: str,
    *,
    items: tuple[Condition[Item], ...] = (),
    answers: tuple[Condition[AnswerInContext], ...] = (),
    **declared: Unpack[Declaration],
) -> Callable[[Callable[[AnswerInContext], float | None]], AnswerMetric]:
    """Declare a function of one answer a metric. Its own None says that there is nothing to count."""
    return lambda score: AnswerMetric(
        name=name, items=items, answers=answers, score=score, description=_first_paragraph(score), **declared
    )


def context_metric(
    name: str, **declared: Unpack[Declaration]
) -> Callable[[Callable[[Item, Context], float | None]], ContextMetric]:
    """Declare a function of a question and its passages a metric."""
    return lambda score: ContextMetric(
        name=name, score=score, description=_first_paragraph(score), **declared
    )


def twins_metric(
    name: str, *, of: str, **declared: Unpack[Declaration]
) -> Callable[[Callable[[Sequence[float]], float]], TwinsMetric]:
    """Declare a function of twins' scores in the metric `of` a metric."""
    return lambda score: TwinsMetric(
        name=name, of=of, score=score, description=_first_paragraph(score), **declared
    )


@cache
def list_metrics() -> tuple[Metric, ...]:
    """Every metric of the folder, as results have them: by family, the primary one first, then by `order`.

    Raises:
        ValueError: Two files declare the same name.
    """
    found: dict[str, Metric] = {}
    for module in pkgutil.iter_modules(metrics.__path__, f"{metrics.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Metric) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"{module.name} declares {value.name!r}, which another metric is called")
    families = list(FAMILIES)
    return tuple(
        sorted(
            found.values(),
            key=lambda metric: (families.index(metric.family), not metric.primary, metric.order, metric.name),
        )
    )


def find_metric(name: str) -> Metric | None:
    """The metric of that name; None where no file declares it."""
    return next((metric for metric in list_metrics() if metric.name == name), None)


def primary_metric(family: Family) -> Metric:
    """The family's primary metric."""
    return next(metric for metric in list_metrics() if metric.family == family and metric.primary)


def _first_paragraph(function: Callable[..., object]) -> str:
    return " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
