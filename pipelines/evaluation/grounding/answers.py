"""Judges an answer, and the thinking before it, sentence by sentence against the passages of its context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pipelines.evaluation.grounding.calibration import judge_sentence, rescore, sum_up
from pipelines.evaluation.grounding.claims import AnswerSentence, find_claims
from pipelines.evaluation.grounding.scorer import Grounding, SupportingSpan
from pipelines.evaluation.grounding.trace import compare_with_trace
from services.core.wire.grounding import (
    AnswerGroundedness,
    EvidenceSpan,
    GroundedSentence,
    GroundedText,
    TraceVerdict,
)

__all__ = ["ContextPassage", "Scorer", "ground_answer", "rescore"]


class Scorer(Protocol):
    """Scores claims against passages: `GroundednessScorer` or `DetectorScorer`."""

    @property
    def name(self) -> str:
        """What a record has as its `calibration`."""
        ...

    async def score_all(self, claims: Sequence[str], passages: Sequence[str]) -> list[Grounding]:
        """Score claims against the same passages.

        Args:
            claims: What is claimed, one sentence each.
            passages: The texts that may support the claims.

        Returns:
            One grounding for each claim, in order.

        Raises:
            RaglineError: The encoder or the detector does not answer.
        """
        ...


class ContextPassage(Protocol):
    """What a passage must have: `Passage` of a frozen context has it, and `Source` of a data set."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...


async def ground_answer(
    question: str,
    passages: Sequence[ContextPassage],
    answer: str,
    reasoning: str = "",
    *,
    options: Sequence[str] = (),
    scorer: Scorer,
) -> AnswerGroundedness:
    """Judge every sentence of an answer and of its reasoning, and whether the two come to the same.

    Nothing here blocks the event loop for long: what is computed is computed in a thread.

    Args:
        question: What was asked; a fragment of an answer is read together with it.
        passages: The frozen context, in order.
        answer: The answer's text.
        reasoning: The thinking before it; may be empty.
        options: The options of a question that has some.
        scorer: Scores the claims.

    Returns:
        The record; `rescore` gives it again from the record alone.

    Raises:
        RaglineError: What the scorer raises.
    """
    texts = [passage.text for passage in passages]
    ids = [passage.id for passage in passages]
    answer_sentences = find_claims(answer, question)
    thoughts = find_claims(reasoning)
    claims = [sentence.claim for sentence in (*answer_sentences, *thoughts) if sentence.claim is not None]
    groundings = iter(await scorer.score_all(claims, texts))
    return AnswerGroundedness(
        calibration=scorer.name,
        answer=_judge_text(answer_sentences, groundings, ids),
        reasoning=_judge_text(thoughts, groundings, ids) if thoughts else None,
        trace=_judge_trace(reasoning, answer, options),
    )


def _judge_trace(reasoning: str, answer: str, options: Sequence[str]) -> TraceVerdict | None:
    agreement = compare_with_trace(reasoning, answer, options)
    if agreement is None:
        return None
    return TraceVerdict(
        verdict=agreement.verdict, by=agreement.by, trace=agreement.trace, answer=agreement.answer
    )


def _judge_text(
    sentences: Sequence[AnswerSentence], groundings: Iterator[Grounding], ids: Sequence[str]
) -> GroundedText:
    return sum_up(
        [
            _judge_sentence(sentence, None if sentence.claim is None else next(groundings), ids)
            for sentence in sentences
        ]
    )


def _judge_sentence(
    sentence: AnswerSentence, grounding: Grounding | None, ids: Sequence[str]
) -> GroundedSentence:
    span = sentence.span
    if grounding is None:
        return GroundedSentence(start=span.start, end=span.end, text=span.text, verdict="not a claim")
    against = grounding.against
    return judge_sentence(
        GroundedSentence(
            start=span.start,
            end=span.end,
            text=span.text,
            verdict="unsupported",
            p_supported=grounding.p_supported,
            p_contradicted=grounding.p_contradicted,
            spans=[_locate(supporting, ids) for supporting in grounding.spans],
            against=None if against is None else _locate(against, ids),
            evidence=grounding.evidence,
        )
    )


def _locate(span: SupportingSpan, ids: Sequence[str]) -> EvidenceSpan:
    """The span with its passage's id."""
    return EvidenceSpan(
        passage_id=ids[span.passage], passage=span.passage, start=span.start, end=span.end, text=span.text
    )
