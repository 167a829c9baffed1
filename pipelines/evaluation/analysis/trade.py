"""What a swap wins and loses in counts of questions, and what withholding unsupported answers buys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.evaluation.analysis.scores import AnswerScores
from pipelines.evaluation.grounding.calibration import rescore
from pipelines.evaluation.results import RatioResult
from pipelines.evaluation.swap.records import RiskCurve, RiskPoint

MOST_POINTS = 50


@dataclass(frozen=True, slots=True)
class _Counts:
    """What an arm did: of `answerable` questions it `answered` some and got some of them `right`, and of
    `unanswerable` ones it answered `invented`."""

    answerable: int
    answered: int
    right: int
    unanswerable: int
    invented: int


def describe_trade(
    arm: str,
    own: Sequence[AnswerScores],
    baseline: str,
    base: Sequence[AnswerScores],
    ratio: RatioResult | None,
) -> str:
    """Say in plain words what the arm does otherwise than the baseline, in counts.

    Args:
        arm: The arm's name.
        own: Its scored answers.
        baseline: The baseline's name.
        base: Its scored answers.
        ratio: How many times as long the arm takes; None where that is not known.
    """
    mine, theirs = _count(own), _count(base)
    parts = []
    if mine.answerable:
        parts.append(
            f"answers {_more(mine.answered - theirs.answered)} of {mine.answerable} answerable questions "
            f"({mine.answered} against {theirs.answered}), {_more(mine.right - theirs.right)} of them "
            f"rightly ({mine.right} against {theirs.right})"
        )
    if mine.unanswerable:
        parts.append(
            f"invents an answer to {mine.invented} of {mine.unanswerable} unanswerable ones "
            f"({baseline}: {theirs.invented})"
        )
    if ratio is not None:
        parts.append(f"takes {ratio.ratio:.2g} times as long")
    if not parts:
        return ""
    joined = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
    return f"{arm} {joined}."


def _more(difference: int) -> str:
    if not difference:
        return "as many"
    return f"{abs(difference)} {'more' if difference > 0 else 'fewer'}"


def _count(scored: Sequence[AnswerScores]) -> _Counts:
    known = [answer for answer in scored if answer.question.item.answerable and answer.question.item.answers]
    unknown = [answer for answer in scored if not answer.question.item.answerable]
    return _Counts(
        answerable=len(known),
        answered=sum(_answers(answer) for answer in known),
        right=sum(_answers(answer) and answer.scores.get("correct") == 1 for answer in known),
        unanswerable=len(unknown),
        invented=sum(_answers(answer) for answer in unknown),
    )


def _answers(answer: AnswerScores) -> bool:
    return not answer.empty and not answer.declined


def draw_risk_curve(arm: str, scored: Sequence[AnswerScores]) -> RiskCurve | None:
    """Make an arm's risk-coverage curve: El-Yaniv and Wiener (2010), "On the Foundations of Noise-free
    Selective Classification", Journal of Machine Learning Research 11, 1605-1641.

    Answers are given in the order of their least supported claim, the best first; those without claims that
    were judged come last, and answers that rank alike are given together. An answer to a question that has
    none is not right. None where no answer was given to a question of which it is known what is right.
    """
    known = [answer for answer in scored if "correct" in answer.scores]
    given = sorted(
        ((_support(answer), answer.scores["correct"]) for answer in known if _answers(answer)),
        key=lambda pair: -pair[0],
    )
    points: list[RiskPoint] = []
    right = 0.0
    for place, (support, score) in enumerate(given, start=1):
        right += score
        if place == len(given) or given[place][0] != support:
            points.append(RiskPoint(n=place, share=place / len(known), accuracy=right / place))
    if not points:
        return None
    step = max(1, -(-len(points) // MOST_POINTS))
    kept = [point for place, point in enumerate(reversed(points)) if place % step == 0]
    return RiskCurve(arm=arm, asked=len(known), points=tuple(reversed(kept)))


def _support(answer: AnswerScores) -> float:
    """The support of an answer's least supported claim; below all others where none was judged."""
    record = answer.reply.groundedness
    if record is None:
        return -1.0
    judged = rescore(record).answer.sentences
    return min(
        (sentence.p_supported for sentence in judged if sentence.p_supported is not None), default=-1.0
    )
