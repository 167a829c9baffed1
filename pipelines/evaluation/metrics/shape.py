"""How long answers are, and how often a limit cut them off. Length alone sways judges: read it with them."""

from __future__ import annotations

from pipelines.evaluation.metric import AnswerInContext, answer_metric

CUT_OFF = frozenset({"length", "reasoning_truncated"})
"""The finish reasons of an answer that a limit ended: in the answer, or in the thinking before it."""


@answer_metric("truncated", family="shape", order=10, higher_is_better=False, label="truncation rate")
def truncated(answer: AnswerInContext) -> float:
    """A limit ended the answer, or the thinking before it. One without a reason counts as cut off too."""
    reason = answer.reply.finish_reason
    return float(reason is None or reason in CUT_OFF)


@answer_metric("words", family="shape", order=20, higher_is_better=None, unit="words", label="answer length")
def words(answer: AnswerInContext) -> float:
    """The words of the answer, without its thinking."""
    return float(len(answer.text.split()))
