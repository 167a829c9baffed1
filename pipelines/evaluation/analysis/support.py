"""How an answer rests on its passages: groundedness as recorded, and citations by it or by words."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.citations import THRESHOLD, unmarked
from pipelines.evaluation.grounding.calibration import rescore
from pipelines.evaluation.metrics.citations import Supports, score_citations
from pipelines.evaluation.metrics.quotes import verbatim_share
from pipelines.sentences import content_words, numbers
from services.core.wire.grounding import AnswerGroundedness


def supported_by_words(passages: str, statement: str) -> bool:
    """At least half of the statement's content words stand in the passages, and all of its numbers: the rule
    by which Ragline attributes a sentence."""
    wanted = content_words(statement)
    if not wanted or not numbers(statement) <= numbers(passages):
        return False
    return len(wanted & content_words(passages)) / len(wanted) >= THRESHOLD


def supported_by_record(record: AnswerGroundedness) -> Supports:
    """A statement is supported where its sentence was found to be, and one of the places that it was found
    closest to is in the passages. What was not judged goes by words."""
    judged = {" ".join(unmarked(each.text).split()): each for each in rescore(record).answer.sentences}

    def supports(passages: str, statement: str) -> bool:
        sentence = judged.get(statement)
        if sentence is None or sentence.evidence is None:
            return supported_by_words(passages, statement)
        return sentence.verdict == "supported" and any(span.text in passages for span in sentence.spans)

    return supports


def groundedness_metrics(record: AnswerGroundedness) -> dict[str, float]:
    """Shares of the answer's claims, and of its reasoning's; judged anew from the evidence that was
    recorded."""
    again = rescore(record)
    found: dict[str, float] = {}
    if again.answer.claims:
        found["supported"] = again.answer.supported / again.answer.claims
        found["contradicted"] = again.answer.contradicted / again.answer.claims
    if again.reasoning is not None and again.reasoning.claims:
        found["reasoning supported"] = again.reasoning.supported / again.reasoning.claims
    return found


def citation_metrics(answer: str, passages: Sequence[str], supports: Supports) -> dict[str, float]:
    """Recall, precision and validity, those that there is something to count for."""
    found = score_citations(answer, passages, supports)
    named = {
        "citation recall": found.recall,
        "citation precision": found.precision,
        "citation validity": found.validity,
    }
    return {name: value for name, value in named.items() if value is not None}


def quotation_metrics(answer: str, passages: Sequence[str]) -> dict[str, float]:
    share = verbatim_share(unmarked(answer), passages)
    return {} if share is None else {"verbatim quotes": share}
