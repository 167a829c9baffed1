"""What readers are shown of recorded runs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.evaluation.results import ArmOutcome, MetricResult, PercentileResult
from pipelines.evaluation.swap.records import SequentialResult, SwapResult
from services.core.wire.compare import ArmRequest, ArmStatus

RunState = Literal["running", "stopped", "finished", "damaged"]
"""`running`: a run is at work in the folder. `stopped`: it is not finished, and nothing works on it.
`damaged`: it cannot be read, and `detail` says why."""

Show = Literal["all", "differ", "gained", "lost", "same", "failed", "unanswered"]
"""Which questions are shown: those that the arms do not answer alike, where another arm is better (`gained`)
or worse (`lost`) than the baseline, those they answer alike, those with a failed request, those without all
answers yet."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArmProgress(_Frozen):
    """What has come of an arm's requests so far. `e2el` is the median of its answers in ms, the search left
    out; None before the first."""

    arm: str
    answered: int = 0
    abstained: int = 0
    reasoning_truncated: int = 0
    failed: int = 0
    e2el: float | None = None

    @property
    def asked(self) -> int:
        """All requests that have ended."""
        return self.answered + self.abstained + self.reasoning_truncated + self.failed


class RunDataset(_Frozen):
    """A data set of a run, and how many of its questions were drawn."""

    name: str
    n: int


class RunSummary(_Frozen):
    """One run of the folder.

    `kind` is `decide` where it stops when its policy is settled. `answers` are there of `due`, which for a
    run that stops by itself is the most that it may ask for. `written` are the seconds since something was
    written. `sentences` are its verdicts, `answer` that of the first arm to "may I swap?". `detail` says in
    words what is wrong, or how a run that stopped goes on.
    """

    name: str
    state: RunState
    detail: str = ""
    kind: Literal["eval", "decide"] = "eval"
    started: str = ""
    version: str = ""
    datasets: tuple[RunDataset, ...] = ()
    arms: tuple[str, ...] = ()
    questions: int = 0
    answers: int = 0
    due: int = 0
    written: float = 0.0
    sentences: tuple[str, ...] = ()
    answer: Literal["", "yes", "no", "undecided"] = ""
    report: bool = False


class RunList(_Frozen):
    """The runs of the folder, the newest first. `left_out` are older ones that are not listed. `detail` says
    why there are none."""

    runs: tuple[RunSummary, ...]
    left_out: int = 0
    detail: str = ""


class Run(_Frozen):
    """One run in full, but for its questions. The figures are over all questions, and empty until there are
    results."""

    summary: RunSummary
    arms: tuple[ArmRequest, ...]
    progress: tuple[ArmProgress, ...]
    warnings: tuple[str, ...] = ()
    swaps: tuple[SwapResult, ...] = ()
    sequential: SequentialResult | None = None
    metrics: tuple[MetricResult, ...] = ()
    percentiles: tuple[PercentileResult, ...] = ()
    outcomes: tuple[ArmOutcome, ...] = ()


class QuestionFilter(_Frozen):
    """Which questions of a run are shown, and how many of them."""

    show: Show = Field("all", description="which of them")
    dataset: str = Field("", description="those of this data set; empty: of all")
    text: str = Field("", max_length=1000, description="what a question, its references or answers hold")
    first: int = Field(0, ge=0, le=10**9, description="how many to pass over")
    limit: int = Field(50, ge=1, le=500)


class AnswerMark(_Frozen):
    """How one arm did with one question. `correct` is the mean over its repeats; None: not scored."""

    arm: str
    status: ArmStatus
    correct: float | None
    e2el: float | None


class QuestionRow(_Frozen):
    """One question of the list. `text` is its beginning."""

    id: str
    dataset: str
    type: str
    text: str
    differs: bool
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    answers: tuple[AnswerMark, ...]


class QuestionPage(_Frozen):
    """Questions of a run, those that the arms do not answer alike first. `total` fit the filter, `counts` are
    those of every filter by name, without the others."""

    total: int
    first: int
    counts: dict[Show, int]
    questions: tuple[QuestionRow, ...]
