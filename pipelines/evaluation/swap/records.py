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
