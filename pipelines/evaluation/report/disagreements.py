"""Finds the questions that the arms do not answer alike: what the averages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class MarkedQuestion:
    """A question with its answers by arm, and the share of right ones of each arm that has been scored."""

    question: RunQuestion
    answers: dict[str, list[Answer]]
    right: dict[str, float]

    @property
    def differs(self) -> bool:
        """Whether the arms do not answer alike.

        Their shares of right answers differ; or, where there is no such score, one arm answered and another
        abstained, thought without an end or failed.
        """
        if self.right:
            return len(set(self.right.values())) > 1
        return len({repeats[0].reply.status for repeats in self.answers.values()}) > 1

    def list_gained(self, baseline: str) -> tuple[str, ...]:
        """List the arms that do better than the baseline."""
        base = self.right.get(baseline)
        return tuple(arm for arm, value in self.right.items() if base is not None and value > base)

    def list_lost(self, baseline: str) -> tuple[str, ...]:
        """List the arms that do worse than the baseline."""
        base = self.right.get(baseline)
        return tuple(arm for arm, value in self.right.items() if base is not None and value < base)


def mark_questions(bundle: Bundle, results: Results | None) -> list[MarkedQuestion]:
    """Bring each question's answers and marks together, in the run's order; without results nothing is
    marked."""
    answers: dict[str, dict[str, list[Answer]]] = {}
    for answer in bundle.answers:
        answers.setdefault(answer.question, {}).setdefault(answer.arm, []).append(answer)
    scores: dict[tuple[str, str], list[float]] = {}
    quality = primary_metric("quality").name
    for scored in results.questions if results else ():
        if quality in scored.scores:
            scores.setdefault((scored.question, scored.arm), []).append(scored.scores[quality])
    marked = []
    for question in bundle.questions:
        by_arm = answers.get(question.id, {})
        right = {arm: fmean(scores[question.id, arm]) for arm in by_arm if (question.id, arm) in scores}
        marked.append(MarkedQuestion(question, by_arm, right))
    return marked


def find_disagreements(
    bundle: Bundle, results: Results, shown: int = SHOWN
) -> tuple[int, list[Disagreement]]:
    """Find the questions that the arms do not answer alike.

    Returns:
        How many there are, and `shown` of them, spread evenly over the run where there are more.
    """
    contexts = {context.question: context for context in bundle.contexts}
    differing = [marked for marked in mark_questions(bundle, results) if marked.differs]
    kept = (
        [differing[index * len(differing) // shown] for index in range(shown)]
        if len(differing) > shown
        else differing
    )
    return len(differing), [
        show_question(marked, results.baseline, contexts.get(marked.question.id)) for marked in kept
    ]


def show_question(marked: MarkedQuestion, baseline: str, context: Context | None) -> Disagreement:
    """Show a question with its passages and each arm's first answer, whether the arms differ or not."""
    question = marked.question
    passages = context.context.passages if context else []
    first = {
        arm: _judge_again(repeats[0].reply, question.item.question, passages)
        for arm, repeats in marked.answers.items()
    }
    return Disagreement(
        question=question.id,
        dataset=question.dataset,
        type=question.type,
        text=question.text,
        references=question.item.answers,
        answerable=question.item.answerable,
        gained=marked.list_gained(baseline),
        lost=marked.list_lost(baseline),
        context_id=context.context.context_id if context else "",
        passages=tuple(
            _show_passage(marker, passage, [*first.values()])
            for marker, passage in enumerate(passages, start=1)
        ),
        answers=tuple(
            _show_answer(first[arm], len(repeats), marked.right.get(arm))
            for arm, repeats in marked.answers.items()
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
