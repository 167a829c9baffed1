"""The shares of an answer's claims, and of its reasoning's, that the passages support or contradict.

They are judged anew from the evidence that the record keeps; docs/grounding.md says how.
"""

from __future__ import annotations

from pipelines.evaluation.grounding.answers import ground_again
from pipelines.evaluation.metric import FROM_PASSAGES, AnswerInContext, answer_metric
from services.core.wire.grounding import AnswerGroundedness


def judge_again(answer: AnswerInContext) -> AnswerGroundedness | None:
    """The verdicts that today's scorer gives; None where none was recorded.

    They follow from the recorded evidence, or from the passages where an earlier scorer recorded it.
    """
    reply = answer.reply
    if reply.groundedness is None:
        return None
    return ground_again(
        answer.item.question,
        answer.context.context.passages,
        reply.content,
        reply.reasoning_content or "",
        reply.groundedness,
    )


@answer_metric(
    "supported", family="quality", order=50, higher_is_better=True, answers=(FROM_PASSAGES,),
    label="supported claims", source="[grounding](../grounding.md)",
)  # fmt: skip
def supported(answer: AnswerInContext) -> float | None:
    """The share of the answer's claims that the passages support."""
    record = answer.read_once(judge_again)
    return record.answer.supported / record.answer.claims if record and record.answer.claims else None


@answer_metric(
    "contradicted", family="quality", order=60, higher_is_better=False, answers=(FROM_PASSAGES,),
    label="contradicted claims", source="[grounding](../grounding.md)",
)  # fmt: skip
def contradicted(answer: AnswerInContext) -> float | None:
    """The share of the answer's claims that the passages contradict."""
    record = answer.read_once(judge_again)
    return record.answer.contradicted / record.answer.claims if record and record.answer.claims else None


@answer_metric(
    "reasoning supported", family="quality", order=70, higher_is_better=True, answers=(FROM_PASSAGES,),
    label="supported claims of the reasoning", source="[grounding](../grounding.md)",
)  # fmt: skip
def reasoning_supported(answer: AnswerInContext) -> float | None:
    """The share of the reasoning's claims that the passages support."""
    record = answer.read_once(judge_again)
    reasoning = record.reasoning if record else None
    return reasoning.supported / reasoning.claims if reasoning and reasoning.claims else None
