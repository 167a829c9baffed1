"""Ends a run when its policy is settled, or cannot be settled within its budget; says how far it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.evaluation.analysis.evidence import pair_scores
from pipelines.evaluation.analysis.scores import AnswerScores, score_record
from pipelines.evaluation.bundle.records import (
    Answer,
    Context,
    Manifest,
    RunQuestion,
    SequentialRecord,
    group_clusters,
)
from pipelines.evaluation.gate.policy import Policy
from pipelines.evaluation.runner import Watcher
from pipelines.evaluation.swap.outlook import chance_to_settle
from pipelines.evaluation.swap.records import CriterionResult, SequentialResult
from pipelines.evaluation.swap.sequential import AnsweredQuestion, assess_policy
from services.core.errors import InvalidRequest

HOPELESS = 0.05
"""The run ends where settling is less likely than this."""
EVERY = 10
"""Clusters between two looks at what is still possible."""

Ending = Literal["", "settled", "questions", "minutes", "hopeless"]


@dataclass(slots=True)
class Decider:
    """Follows the evidence of a run, cluster by cluster in the planned order."""

    manifest: Manifest
    policy: Policy
    questions: Sequence[RunQuestion]
    contexts: Mapping[str, Context]
    watcher: Watcher
    ending: Ending = ""
    clusters: list[list[AnsweredQuestion]] = field(default_factory=list)
    _scored: dict[tuple[str, str], AnswerScores] = field(default_factory=dict)
    _waiting: list[list[RunQuestion]] = field(default_factory=list)
    _found: SequentialResult | None = None
    _checked: int = 0

    def __post_init__(self) -> None:
        self._waiting = group_clusters(self.questions)

    def start(self, answers: Sequence[Answer]) -> None:
        """Take what was answered before."""
        for answer in answers:
            self._keep(answer)
        self._look()

    def take(self, answer: Answer) -> None:
        """Look at an answer; where it completes a cluster, at the evidence."""
        self._keep(answer)
        self._look()

    def has_ended(self, seconds: float) -> bool:
        """Tell, before a question is asked, whether the run ends here."""
        sequential = self.manifest.sequential
        if self.ending or sequential is None:
            return True
        if sequential.minutes is not None and seconds >= 60 * sequential.minutes:
            self.ending = "minutes"
        elif len(self.clusters) >= self._checked + EVERY:
            self._checked = len(self.clusters)
            self.ending = "hopeless" if self._is_hopeless(seconds) else ""
        return bool(self.ending)

    def _keep(self, answer: Answer) -> None:
        known = {question.id: question for question in self.questions}.get(answer.question)
        if known is not None:
            scores = score_record(known, self.contexts[answer.question], answer)
            self._scored[answer.question, answer.arm] = scores

    def _look(self) -> None:
        baseline, candidate = (arm.name for arm in self.manifest.arms)
        before = len(self.clusters)
        while self._waiting and all(
            (question.id, arm) in self._scored
            for question in self._waiting[0]
            for arm in (baseline, candidate)
        ):
            self.clusters.append(
                [
                    pair_scores(
                        question, self._scored[question.id, baseline], self._scored[question.id, candidate]
                    )
                    for question in self._waiting.pop(0)
                ]
            )
        sequential = self.manifest.sequential
        if len(self.clusters) == before or sequential is None:
            return
        self._found = assess_policy(
            self.policy,
            candidate,
            self.clusters,
            largest=sequential.largest,
            most=sequential.questions,
            narrowing=False,
        )
        if self._found.answer != "undecided":
            self.ending = "settled"
        elif not self._waiting:
            self.ending = "questions"
        self.watcher.note(describe_progress(self._found, sequential.questions))

    def _is_hopeless(self, seconds: float) -> bool:
        sequential = self.manifest.sequential
        if sequential is None:
            return False
        answered = sum(map(len, self.clusters))
        left = sum(map(len, self._waiting))
        if sequential.minutes is not None and seconds > 0:
            left = min(left, int((60 * sequential.minutes - seconds) * answered / seconds))
        chance = chance_to_settle(
            self.policy,
            self.clusters,
            largest=sequential.largest,
            left=left * len(self.clusters) // answered,
            seed=self.manifest.conditions.seed,
        )
        return chance < HOPELESS


def describe_progress(found: SequentialResult, most: int) -> str:
    """Say in one line how far the evidence is: each criterion's bounds, and the questions that are left."""
    parts = "; ".join(
        _describe_bounds(criterion) for criterion in found.criteria if criterion.low is not None
    )
    forecast = "" if found.needed is None else f", about {found.needed} more at this pace"
    return f"{found.questions} of at most {most} questions: {parts}{forecast}"


def _describe_bounds(criterion: CriterionResult) -> str:
    low, high = criterion.low or 0.0, criterion.high or 0.0
    mark = {"pass": "holds", "fail": "fails", "undecided": "open"}[criterion.outcome]
    return f"{criterion.metric} {low:+.3f} to {high:+.3f} ({criterion.asked} {criterion.limit:g}: {mark})"


@dataclass(frozen=True, slots=True)
class Budget:
    """How far a run that stops by itself may go; None: to the last question."""

    questions: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if self.questions is not None and self.questions < 1:
            raise InvalidRequest(f"--questions {self.questions}: it must be at least 1")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise InvalidRequest(f"--minutes {self.minutes:g}: it must be a number and more than 0")

    def record(self, questions: Sequence[RunQuestion]) -> SequentialRecord:
        """Describe a run of these questions, which are in the order of asking, within the budget."""
        groups = group_clusters(questions)
        most = len(questions) if self.questions is None else min(self.questions, len(questions))
        return SequentialRecord(
            questions=most, minutes=self.minutes, largest=max(map(len, groups), default=1)
        )
