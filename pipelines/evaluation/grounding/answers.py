"""Judges an answer, and the thinking before it, sentence by sentence against the passages of its context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pipelines.evaluation.grounding.calibration import (
    calibration_id,
    judge_sentence,
    keeps_outdated_evidence,
    rescore,
    sum_up,
)
from pipelines.evaluation.grounding.claims import AnswerSentence, Claim, find_claims
from pipelines.evaluation.grounding.scorer import Grounding, SupportingSpan, score_claims
from pipelines.evaluation.grounding.trace import compare_with_trace
from services.core.wire.grounding import (
    AnswerGroundedness,
    EvidenceSpan,
    GroundedSentence,
    GroundedText,
    TraceVerdict,
)

__all__ = ["ContextPassage", "Scorer", "ground_again", "ground_answer", "rescore"]


class Scorer(Protocol):
    """Scores claims against passages: `GroundednessScorer` or `DetectorScorer`."""

    @property
    def name(self) -> str:
        """What a record has as its `calibration`."""
        ...

    async def score_all(self, claims: Sequence[Claim | str], passages: Sequence[str]) -> list[Grounding]:
        """Score claims against the same passages.

        Args:
            claims: What is claimed, one sentence each, or a short answer with its question.
            passages: The texts that may support the claims.

        Returns:
            One grounding for each claim, in order.

        Raises:
            RaglineError: The detector does not answer.
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
    answer_sentences, thoughts = find_claims(answer, question), find_claims(reasoning)
    groundings = await scorer.score_all(
        _list_claims(answer_sentences, thoughts), [passage.text for passage in passages]
    )
    return _put_together(
        answer_sentences,
        thoughts,
        groundings,
        passages,
        calibration=scorer.name,
        trace=_judge_trace(reasoning, answer, options),
    )


def ground_again(
    question: str,
    passages: Sequence[ContextPassage],
    answer: str,
    reasoning: str,
    record: AnswerGroundedness,
) -> AnswerGroundedness:
    """Score an answer again, by this scorer.

    A record that an earlier scorer wrote is judged anew from the passages; any other from its evidence, as
    `rescore` does. Its trace's verdict is kept, and reasoning is judged where the record has some.
    """
    if not keeps_outdated_evidence(record):
        return rescore(record)
    answer_sentences = find_claims(answer, question)
    thoughts = find_claims(reasoning) if record.reasoning is not None else []
    return _put_together(
        answer_sentences,
        thoughts,
        score_claims(_list_claims(answer_sentences, thoughts), [passage.text for passage in passages]),
        passages,
        calibration=calibration_id(),
        trace=record.trace,
    )


def _list_claims(*texts: Sequence[AnswerSentence]) -> list[Claim]:
    return [sentence.claim for text in texts for sentence in text if sentence.claim is not None]


def _put_together(
    answer_sentences: Sequence[AnswerSentence],
    thoughts: Sequence[AnswerSentence],
    groundings: Sequence[Grounding],
    passages: Sequence[ContextPassage],
    *,
    calibration: str,
    trace: TraceVerdict | None,
) -> AnswerGroundedness:
    ids, left = [passage.id for passage in passages], iter(groundings)
    return AnswerGroundedness(
        calibration=calibration,
        answer=_judge_text(answer_sentences, left, ids),
        reasoning=_judge_text(thoughts, left, ids) if thoughts else None,
        trace=trace,
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
