"""The answer to "may I swap?", as results have it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["better", "non-inferior", "equivalent", "worse", "undecided"]
Answer = Literal["yes", "no", "undecided"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SwapResult(_Frozen):
    """One arm against the baseline, by a policy.

    `verdict` is of the policy's quality metric: "better" than the baseline; "equivalent" within the margin to
    both sides; "non-inferior": not worse by the margin; "worse" by more than the margin; else "undecided".
    `difference`, `low` and `high` are counted so that more is better. `p_not_worse` is the one-sided p of a
    loss of the margin or more, `p_not_better` that of a gain of the margin or more (Holm's over the arms):
    the two one-sided tests, each at 2.5 %. `needed` is about how many more questions of these sets settle an
    open verdict where the difference stays as it was observed, `needed_alike` where the arms are alike; None
    where the verdict is settled, or the sample does not tell.

    `answer` is to the whole policy: `broken` rules make it "no", `open` ones leave it undecided. `sentence`
    says it, and `trade` what is won and lost in counts.
    """

    arm: str
    metric: str
    scope: str
    margin: float
    n: int
    clusters: int
    difference: float
    low: float | None
    high: float | None
    p_not_worse: float
    p_not_better: float
    verdict: Verdict
    answer: Answer
    needed: int | None
    needed_alike: int | None
    broken: tuple[str, ...]
    open: tuple[str, ...]
    sentence: str
    trade: str


class RiskPoint(_Frozen):
    """Of all questions `share` are answered, and of these `accuracy` are right, where the `n` answers with
    the best support are given, and the others withheld."""

    n: int
    share: float
    accuracy: float


class RiskCurve(_Frozen):
    """An arm's accuracy against the share of questions that it answers, from its best supported answers to
    all that it gave. `asked` counts questions, repeats included."""

    arm: str
    asked: int
    points: tuple[RiskPoint, ...]


class CriterionResult(_Frozen):
    """One thing that a policy asks, by evidence that is valid whenever one looks.

    `value`, `low` and `high` are in the unit of `limit` and counted as it is: the mean and the present bounds
    of its 95 % confidence sequence, None where nothing was scored or it has none. `holds` and `fails` are the
    greatest e-values so far of its holding and its failing: 40 shows the first, 40 times the number of
    criteria the second.
    """

    scope: str
    metric: str
    asked: str
    limit: float
    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    holds: float
    fails: float
    outcome: Literal["pass", "fail", "undecided"]


class SequenceStep(_Frozen):
    """The bounds of the verdict's difference after so many questions."""

    questions: int
    low: float
    high: float


class SequentialResult(_Frozen):
    """A run that stops when its policy is settled: its evidence, in the order of asking.

    `criteria` are the verdict's first, then the rules'. `needed` is about how many more questions settle it
    at the pace of those asked; None where it is settled, or none would. `not_better` is the greatest e-value
    of the gain being under the margin. `steps` are how the verdict's bounds narrowed.
    """

    arm: str
    questions: int
    clusters: int
    answer: Answer
    needed: int | None
    criteria: tuple[CriterionResult, ...]
    not_better: float
    steps: tuple[SequenceStep, ...]
