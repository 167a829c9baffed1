"""Finds the questions that the arms do not answer alike: what the averages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from pipelines.evaluation.bundle.records import Answer, Bundle, Context, RunQuestion
from pipelines.evaluation.grounding.answers import ground_again
from pipelines.evaluation.metric import primary_metric
from pipelines.evaluation.report.document import (
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
"""How many are shown: with passages and traces each has some kilobytes, and a longer page opens slowly."""


def find_disagreements(
    bundle: Bundle, results: Results, shown: int = SHOWN
) -> tuple[int, list[Disagreement]]:
    """Find the questions that the arms do not answer alike.

    Arms differ where their shares of right answers do (over repeats); where a question has no such score,
    where one arm answered and another abstained, thought without an end or failed.

    Returns:
        How many there are, and `shown` of them, spread evenly over the run where there are more.
    """
    answers: dict[str, dict[str, list[Answer]]] = {}
    for answer in bundle.answers:
        answers.setdefault(answer.question, {}).setdefault(answer.arm, []).append(answer)
    scores: dict[tuple[str, str], list[float]] = {}
    quality = primary_metric("quality").name
    for scored in results.questions:
        if quality in scored.scores:
            scores.setdefault((scored.question, scored.arm), []).append(scored.scores[quality])
    contexts = {context.question: context for context in bundle.contexts}
    differing = []
    for question in bundle.questions:
        by_arm = answers.get(question.id, {})
        right = {arm: fmean(scores[question.id, arm]) for arm in by_arm if (question.id, arm) in scores}
        statuses = {repeats[0].reply.status for repeats in by_arm.values()}
        if len(set(right.values())) > 1 or (not right and len(statuses) > 1):
            differing.append((question, right))
    kept = (
        [differing[index * len(differing) // shown] for index in range(shown)]
        if len(differing) > shown
        else differing
    )
    return len(differing), [
        _show_disagreement(question, right, results.baseline, contexts.get(question.id), answers[question.id])
        for question, right in kept
    ]


def _show_disagreement(
    question: RunQuestion,
    right: dict[str, float],
    baseline: str,
    context: Context | None,
    answers: dict[str, list[Answer]],
) -> Disagreement:
    base = right.get(baseline)
    passages = context.context.passages if context else []
    first = {
        arm: _judge_again(repeats[0].reply, question.item.question, passages)
        for arm, repeats in answers.items()
    }
    return Disagreement(
        question=question.id,
        dataset=question.dataset,
        type=question.type,
        text=question.text,
        references=question.item.answers,
        answerable=question.item.answerable,
        gained=tuple(arm for arm, value in right.items() if base is not None and value > base),
        lost=tuple(arm for arm, value in right.items() if base is not None and value < base),
        context_id=context.context.context_id if context else "",
        passages=tuple(
            _show_passage(marker, passage, [*first.values()])
            for marker, passage in enumerate(passages, start=1)
        ),
        answers=tuple(
            _show_answer(first[arm], len(repeats), right.get(arm)) for arm, repeats in answers.items()
        ),
    )


def _judge_again(reply: ArmReply, question: str, passages: Sequence[Passage]) -> ArmReply:
    """Give a reply the verdicts of today's scorer, as the metrics have them."""
    if reply.groundedness is None:
        return reply
    judged = ground_again(
        question, passages, reply.content, reply.reasoning_content or "", reply.groundedness
    )
    return reply.model_copy(update={"groundedness": judged})


def _show_answer(reply: ArmReply, repeats: int, correct: float | None) -> ShownAnswer:
    judged = reply.groundedness
    return ShownAnswer(
        arm=reply.arm,
        status=reply.status,
        correct=correct,
        repeats=repeats,
        pieces=cut_pieces(reply.content, _doubtful_spans(judged.answer if judged else None)),
        reasoning=cut_pieces(
            reply.reasoning_content or "", _doubtful_spans(judged.reasoning if judged else None)
        ),
        reasoning_tokens=reply.usage.completion_tokens_details.reasoning_tokens if reply.usage else None,
        e2el=reply.timings.e2el if reply.timings else None,
        markers=tuple(sorted({citation.marker for citation in reply.citations})),
        checked=judged is not None,
        error=f"{reply.error.code}: {reply.error.message}" if reply.error else "",
    )


def _doubtful_spans(judged: GroundedText | None) -> list[Span]:
    """The sentences that the passages do not support."""
    sentences = judged.sentences if judged else []
    return [
        (sentence.start, sentence.end, DOUBTS[sentence.verdict])
        for sentence in sentences
        if sentence.verdict in DOUBTS
    ]


def _show_passage(marker: int, passage: Passage, replies: Sequence[ArmReply]) -> ShownPassage:
    """Mark a passage's words that contradict a sentence of any arm, and those that any arm cites.

    A citation counts characters in its document, not in the passage.
    """
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
        for citation in reply.citations
        if citation.passage_id == passage.id
    ]
    return ShownPassage(
        marker=marker,
        title=passage.header or passage.document_id,
        page=passage.page,
        score=passage.score,
        pieces=cut_pieces(passage.text, [*against, *cited]),
    )


def cut_pieces(text: str, spans: Iterable[Span]) -> tuple[Piece, ...]:
    """Cut a whole text into pieces, each marked as a whole.

    Where spans overlap the earlier in the list wins; what lies outside the text is cut off.
    """
    marks: list[Emphasis] = [""] * len(text)
    for start, end, emphasis in spans:
        for at in range(max(0, start), min(len(text), end)):
            marks[at] = marks[at] or emphasis
    cut: list[Piece] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or marks[at] != marks[start]:
            cut.append(Piece(text=text[start:at], emphasis=marks[start]))
            start = at
    return tuple(cut)
