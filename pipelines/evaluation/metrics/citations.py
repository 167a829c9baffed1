"""Citation recall, precision and validity, as ALCE defines the first two.

Gao et al. (2023), "Enabling Large Language Models to Generate Text with Citations", EMNLP, section 3. Whether
passages support a statement is asked of a predicate: the groundedness scorer, an NLI model, a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.citations import THRESHOLD, split_cited, strip_markers
from pipelines.evaluation.metric import ASKED_TO_CITE, FROM_PASSAGES, AnswerInContext, answer_metric
from pipelines.evaluation.metrics.groundedness import judge_again
from pipelines.sentences import content_words, numbers
from services.core.wire.grounding import AnswerGroundedness

Supports = Callable[[str, str], bool]
"""`supports(passages, statement)`: whether the text of the passages entails the statement."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer without its markers, and the passages (from 1) that they name, valid or not."""

    text: str
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CitationScores:
    """`recall` over statements and `precision` over valid citations; `validity` over all citations.

    None where there is nothing to count: no statement, or no citation.
    """

    recall: float | None
    precision: float | None
    validity: float | None
    statements: int
    citations: int


def split_statements(answer: str) -> list[Statement]:
    """The sentences that say something, each with the markers that belong to it."""
    return [Statement(sentence.bare, sentence.markers) for sentence in split_cited(answer)]


def score_citations(answer: str, passages: Sequence[str], supports: Supports) -> CitationScores:
    """All three of one answer. `passages` in the order of their numbers.

    Recall: a statement counts where it cites and its cited passages together support it. Precision: a
    citation counts where its statement is supported so, and the passage either supports it alone or is
    needed by the others. Validity: a citation counts where it names a passage that was given.
    """
    found = split_statements(answer)
    recalled = precise = valid = cited = 0
    for statement in found:
        usable = [number for number in statement.cited if 1 <= number <= len(passages)]
        cited += len(statement.cited)
        valid += len(usable)
        if not usable or not supports(_joined(usable, passages), statement.text):
            continue
        recalled += 1
        precise += sum(_relevant(number, usable, passages, statement.text, supports) for number in usable)
    return CitationScores(
        recall=recalled / len(found) if found else None,
        precision=precise / valid if valid else None,
        validity=valid / cited if cited else None,
        statements=len(found),
        citations=cited,
    )


def _relevant(
    number: int, cited: Sequence[int], passages: Sequence[str], statement: str, supports: Supports
) -> bool:
    if len(cited) == 1 or supports(passages[number - 1], statement):
        return True
    others = [other for other in cited if other != number]
    return not supports(_joined(others, passages), statement)


def _joined(cited: Sequence[int], passages: Sequence[str]) -> str:
    return "\n".join(passages[number - 1] for number in cited)


def supported_by_words(passages: str, statement: str) -> bool:
    """At least half of the statement's content words stand in the passages, and all of its numbers: the rule
    by which Ragline attributes a sentence."""
    wanted = content_words(statement)
    if not wanted or not numbers(statement) <= numbers(passages):
        return False
    return len(wanted & content_words(passages)) / len(wanted) >= THRESHOLD


def supported_by_record(record: AnswerGroundedness) -> Supports:
    """A statement is supported where its sentence was judged to be, and one of the places that it was found
    closest to is in the passages. What was not judged goes by words."""
    judged = {
        " ".join(strip_markers(sentence.text).split()): sentence for sentence in record.answer.sentences
    }

    def supports(passages: str, statement: str) -> bool:
        sentence = judged.get(statement)
        if sentence is None or sentence.evidence is None or sentence.verdict == "not judged":
            return supported_by_words(passages, statement)
        return sentence.verdict == "supported" and any(span.text in passages for span in sentence.spans)

    return supports


@answer_metric(
    "citation recall", family="quality", order=80, higher_is_better=True,
    answers=(FROM_PASSAGES, ASKED_TO_CITE), source="ALCE, Gao et al. 2023",
)  # fmt: skip
def citation_recall(answer: AnswerInContext) -> float | None:
    """The share of statements whose cited passages together support them."""
    return answer.read_once(_score).recall


@answer_metric(
    "citation precision", family="quality", order=90, higher_is_better=True,
    answers=(FROM_PASSAGES, ASKED_TO_CITE), source="ALCE, Gao et al. 2023",
)  # fmt: skip
def citation_precision(answer: AnswerInContext) -> float | None:
    """The share of valid citations whose statement is so supported, and which support it alone or are
    needed."""
    return answer.read_once(_score).precision


@answer_metric(
    "citation validity", family="quality", order=100, higher_is_better=True,
    answers=(FROM_PASSAGES, ASKED_TO_CITE),
)  # fmt: skip
def citation_validity(answer: AnswerInContext) -> float | None:
    """The share of citations that name a passage that was given."""
    return answer.read_once(_score).validity


def _score(answer: AnswerInContext) -> CitationScores:
    """Support is that of the recorded groundedness; where none was recorded, that of the words."""
    record = answer.read_once(judge_again)
    supports = supported_by_words if record is None else supported_by_record(record)
    return score_citations(answer.reply.content, answer.passages, supports)
