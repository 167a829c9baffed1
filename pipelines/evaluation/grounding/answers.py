"""An answer, and the thinking before it, sentence by sentence against the passages that it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pipelines.evaluation.grounding.calibration import judged, rescore, summed
from pipelines.evaluation.grounding.claims import Said, claims
from pipelines.evaluation.grounding.scorer import Grounding, SupportingSpan
from pipelines.evaluation.grounding.trace import trace_agreement
from services.core.wire.grounding import (
    AnswerGroundedness,
    EvidenceSpan,
    GroundedSentence,
    GroundedText,
    TraceVerdict,
)

__all__ = ["ContextPassage", "Scorer", "ground_answer", "rescore"]


class Scorer(Protocol):
    """`GroundednessScorer` or `DetectorScorer`; `name` is the record's `calibration`."""

    @property
    def name(self) -> str: ...

    async def score_all(self, claims: Sequence[str], passages: Sequence[str]) -> list[Grounding]: ...


class ContextPassage(Protocol):
    """What a passage needs: `Passage` of a frozen context has it, and `Source` of a data set."""

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
    """Every sentence of the answer and of its reasoning, which may be empty, judged; and whether the two
    come to the same, by the question's `options` where it has some.

    `rescore` gives the same record again from the record alone. Raises what the scorer raises.
    Nothing here blocks the event loop for long: what is computed is computed in a thread.
    """
    texts = [passage.text for passage in passages]
    ids = [passage.id for passage in passages]
    said = claims(answer, question)
    thought = claims(reasoning)
    asked = [each.claim for each in (*said, *thought) if each.claim is not None]
    found = iter(await scorer.score_all(asked, texts))
    return AnswerGroundedness(
        calibration=scorer.name,
        answer=_text(said, found, ids),
        reasoning=_text(thought, found, ids) if thought else None,
        trace=_trace(reasoning, answer, options),
    )


def _trace(reasoning: str, answer: str, options: Sequence[str]) -> TraceVerdict | None:
    found = trace_agreement(reasoning, answer, options)
    if found is None:
        return None
    return TraceVerdict(verdict=found.verdict, by=found.by, trace=found.trace, answer=found.answer)


def _text(said: Sequence[Said], found: Iterator[Grounding], ids: Sequence[str]) -> GroundedText:
    return summed([_sentence(each, None if each.claim is None else next(found), ids) for each in said])


def _sentence(said: Said, grounding: Grounding | None, ids: Sequence[str]) -> GroundedSentence:
    span = said.span
    if grounding is None:
        return GroundedSentence(start=span.start, end=span.end, text=span.text, verdict="not a claim")
    against = grounding.against
    return judged(
        GroundedSentence(
            start=span.start,
            end=span.end,
            text=span.text,
            verdict="unsupported",
            p_supported=grounding.p_supported,
            p_contradicted=grounding.p_contradicted,
            spans=[_span(each, ids) for each in grounding.spans],
            against=None if against is None else _span(against, ids),
            evidence=grounding.evidence,
        )
    )


def _span(span: SupportingSpan, ids: Sequence[str]) -> EvidenceSpan:
    return EvidenceSpan(
        passage_id=ids[span.passage], passage=span.passage, start=span.start, end=span.end, text=span.text
    )
