"""The results that say what answers cost, and what asking a question again changes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RepeatResult(_Frozen):
    """How far one arm's scores vary where the same question is asked again, over `questions` that were.

    `within` is the variance of a question's repeats (sampling, batching, clocks), `between` that of the
    questions' true means; None: one question alone. `alike` is the share of questions whose repeats all
    score the same, with its 95 % interval.
    """

    arm: str
    metric: str
    questions: int
    within: float
    between: float | None
    alike: float
    alike_low: float | None
    alike_high: float | None


class TurnResult(_Frozen):
    """The medians of an arm's times in ms, of questions that it was asked for the first time, and of those
    that it was asked again: what is warm then (caches, memory) shows in the second."""

    arm: str
    figure: str
    first: float
    first_n: int
    again: float
    again_n: int


class CostResult(_Frozen):
    """What an answer of an arm costs in a `unit`, a currency or J (joules), the mean over `n` questions.

    `extra` is what it costs more than the baseline's, and `per_extra` what one more right answer costs, with
    Fieller's interval; None where `sentence` says why: no answer more is right, or not beyond chance.
    """

    arm: str
    unit: str
    n: int
    value: float
    low: float | None
    high: float | None
    extra: float | None = None
    per_extra: float | None = None
    per_extra_low: float | None = None
    per_extra_high: float | None = None
    sentence: str = ""
