"""The questions that the arms do not answer alike: what the averages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from pipelines.evaluation.bundle.records import Answer, Bundle, Context, RunQuestion
from pipelines.evaluation.report.document import (
    CORRECT,
    Disagreement,
    Emphasis,
    Piece,
    ShownAnswer,
    ShownPassage,
)
from pipelines.evaluation.results import Results
from services.core.wire.compare import ArmReply
from services.core.wire.grounding import GroundedText, Verdict
from services.core.wire.passages import Passage

Span = tuple[int, int, Emphasis]
"""Start and end in characters, and why it stands out."""


DOUBTS: dict[Verdict, Emphasis] = {"unsupported": "unsupported", "contradicted": "contradicted"}
SHOWN = 300
"""With their passages and traces they are some kilobytes each: a page of more would be slow to open."""


def disagreements(bundle: Bundle, results: Results, shown: int = SHOWN) -> tuple[int, list[Disagreement]]:
    """How many there are, and the first `shown` of them, spread evenly over the run where there are more.

    Arms differ where their shares of right answers do (over repeats); where a question has no such score,
    where one arm answered and another abstained, thought without an end or failed.
    """
    answers: dict[str, dict[str, list[Answer]]] = {}
    for answer in bundle.answers:
        answers.setdefault(answer.question, {}).setdefault(answer.arm, []).append(answer)
    scores: dict[tuple[str, str], list[float]] = {}
    for each in results.questions:
        if CORRECT in each.scores:
            scores.setdefault((each.question, each.arm), []).append(each.scores[CORRECT])
    contexts = {context.question: context for context in bundle.contexts}
    differing = []
    for asked in bundle.questions:
        right = {
            arm: fmean(scores[asked.id, arm])
            for arm in answers.get(asked.id, {})
            if (asked.id, arm) in scores
        }
        statuses = {arm: each[0].reply.status for arm, each in answers.get(asked.id, {}).items()}
        if len(set(right.values())) > 1 or (not right and len(set(statuses.values())) > 1):
            differing.append((asked, right))
    kept = (
        [differing[index * len(differing) // shown] for index in range(shown)]
        if len(differing) > shown
        else differing
    )
    return len(differing), [
        _disagreement(asked, right, results.baseline, contexts.get(asked.id), answers[asked.id])
        for asked, right in kept
    ]


def _disagreement(
    asked: RunQuestion,
    right: dict[str, float],
    baseline: str,
    context: Context | None,
    answers: dict[str, list[Answer]],
) -> Disagreement:
    base = right.get(baseline)
    passages = context.context.passages if context else []
    replies = [each[0].reply for each in answers.values()]
    return Disagreement(
        question=asked.id,
        dataset=asked.dataset,
        type=asked.type,
        text=asked.text,
        references=asked.item.answers,
        answerable=asked.item.answerable,
        gained=tuple(arm for arm, value in right.items() if base is not None and value > base),
        lost=tuple(arm for arm, value in right.items() if base is not None and value < base),
        context_id=context.context.context_id if context else "",
        passages=tuple(_passage(marker, each, replies) for marker, each in enumerate(passages, start=1)),
        answers=tuple(_answer(each, right.get(arm)) for arm, each in answers.items()),
    )


def _answer(repeats: Sequence[Answer], correct: float | None) -> ShownAnswer:
    reply = repeats[0].reply
    judged = reply.groundedness
    return ShownAnswer(
        arm=reply.arm,
        status=reply.status,
        correct=correct,
        repeats=len(repeats),
        pieces=pieces(reply.content, _doubts(judged.answer if judged else None)),
        reasoning=pieces(reply.reasoning_content or "", _doubts(judged.reasoning if judged else None)),
        reasoning_tokens=reply.usage.completion_tokens_details.reasoning_tokens if reply.usage else None,
        e2el=reply.timings.e2el if reply.timings else None,
        markers=tuple(sorted({citation.marker for citation in reply.annotations})),
        checked=judged is not None,
        error=f"{reply.error.code}: {reply.error.message}" if reply.error else "",
    )


def _doubts(judged: GroundedText | None) -> list[Span]:
    """The sentences that the passages do not bear out."""
    sentences = judged.sentences if judged else []
    return [(each.start, each.end, DOUBTS[each.verdict]) for each in sentences if each.verdict in DOUBTS]


def _passage(marker: int, passage: Passage, replies: Sequence[ArmReply]) -> ShownPassage:
    """Its words that contradict a sentence of any arm are marked, and those that any arm cites: a citation
    counts characters in its document."""
    against: list[Span] = [
        (sentence.against.start, sentence.against.end, "against")
        for reply in replies
        if reply.groundedness
        for sentence in reply.groundedness.answer.sentences
        if sentence.against
        and sentence.verdict == "contradicted"
        and sentence.against.passage_id == passage.id
    ]
    cited: list[Span] = [
        (citation.start - passage.start, citation.end - passage.start, "cited")
        for reply in replies
        for citation in reply.annotations
        if citation.passage_id == passage.id
    ]
    return ShownPassage(
        marker=marker,
        title=passage.header or passage.document_id,
        page=passage.page,
        score=passage.score,
        pieces=pieces(passage.text, [*against, *cited]),
    )


def pieces(text: str, spans: Iterable[Span]) -> tuple[Piece, ...]:
    """The whole text in order. Where spans overlap the earlier in the list wins; what lies outside the text
    is cut off."""
    marks: list[Emphasis] = [""] * len(text)
    for start, end, emphasis in spans:
        for at in range(max(0, start), min(len(text), end)):
            marks[at] = marks[at] or emphasis
    found: list[Piece] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or marks[at] != marks[start]:
            found.append(Piece(text=text[start:at], emphasis=marks[start]))
            start = at
    return tuple(found)
