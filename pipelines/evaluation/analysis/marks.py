"""Each answer's metrics: what its words, its tokens and its times come to."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.evaluation.analysis.catalogue import LOST_BY_FAILING
from pipelines.evaluation.analysis.latencies import latencies
from pipelines.evaluation.analysis.support import (
    citation_metrics,
    groundedness_metrics,
    quotation_metrics,
    supported_by_record,
    supported_by_words,
)
from pipelines.evaluation.bundle.records import Answer, Asked, Bundle, Context
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metrics.ranking import recall, reciprocal_rank
from pipelines.evaluation.metrics.shape import truncated
from pipelines.evaluation.scoring import scores
from services.core.wire.compare import ArmReply


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer with its metrics by name. `declined` where it says that there is no answer."""

    asked: Asked
    context: Context
    answer: Answer
    metrics: dict[str, float]

    @property
    def reply(self) -> ArmReply:
        return self.answer.reply

    @property
    def failed(self) -> bool:
        return self.reply.status == "failed"

    @property
    def empty(self) -> bool:
        """Nothing was answered: a failure, or thinking that never came to an answer."""
        return self.failed or not self.reply.content.strip()

    @property
    def declined(self) -> bool:
        return not self.empty and self.metrics["abstained"] > 0


def marks(bundle: Bundle) -> list[Mark]:
    """In the bundle's order."""
    asked = {each.id: each for each in bundle.questions}
    contexts = {each.question: each for each in bundle.contexts}
    return [
        Mark(asked[each.question], contexts[each.question], each, _metrics(asked, contexts, each))
        for each in bundle.answers
    ]


def context_metrics(asked: Asked, context: Context) -> dict[str, float]:
    """What retrieval found of a question's relevant passages; nothing where it did not search, or nobody
    knows.

    Recall at k, k being the number of passages that the context holds, and the reciprocal rank.
    """
    if context.grounds != "retrieved" or not asked.item.relevant:
        return {}
    ranking = context.relevant_found
    return {
        "context recall": recall(ranking, asked.item.relevant, len(ranking)),
        "reciprocal rank": reciprocal_rank(ranking, asked.item.relevant),
    }


def _metrics(asked: dict[str, Asked], contexts: dict[str, Context], answer: Answer) -> dict[str, float]:
    item, context, reply = asked[answer.question].item, contexts[answer.question], answer.reply
    if reply.status == "failed":
        lost = scores(item, "")
        return {name: 0.0 for name in LOST_BY_FAILING if name in lost}
    found = scores(item, reply.content)
    found |= latencies(reply, context)
    found["truncated"] = float(truncated(reply.finish_reason))
    if not reply.content.strip():
        return found
    return found | _abstention(item, found) | _support(reply, context, declined=found["abstained"] > 0)


def _abstention(item: Item, found: dict[str, float]) -> dict[str, float]:
    if not item.answerable:
        return {"hallucination rate": 1 - found["abstained"]}
    return {"abstention error rate": found["abstained"]} if item.answers else {}


def _support(reply: ArmReply, context: Context, *, declined: bool) -> dict[str, float]:
    """Of an answer that declines nothing: one that does has nothing to support. Citations only where the
    prompt asked for them."""
    passages = [passage.text for passage in context.context.passages]
    if declined or not passages:
        return {}
    found = quotation_metrics(reply.content, passages)
    if reply.groundedness is not None:
        found |= groundedness_metrics(reply.groundedness)
    if "cite" in reply.prompt.split("-"):
        record = reply.groundedness
        supports = supported_by_words if record is None else supported_by_record(record)
        found |= citation_metrics(reply.content, passages, supports)
    return found
