"""The clusters of a run that stops by itself, with the scores of both arms, in the order of asking."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.evaluation.analysis.scores import AnswerScores
from pipelines.evaluation.bundle.records import Bundle, RunQuestion, group_clusters
from pipelines.evaluation.gate.policy import Policy
from pipelines.evaluation.swap.records import SequentialResult
from pipelines.evaluation.swap.sequential import AnsweredQuestion, assess_policy

Scored = Mapping[tuple[str, str], AnswerScores]
"""Each answer's scores, by question and arm."""


def pair_scores(question: RunQuestion, baseline: AnswerScores, candidate: AnswerScores) -> AnsweredQuestion:
    """Put both arms' scores of a question together."""
    return AnsweredQuestion(
        question=question,
        baseline=baseline.scores,
        candidate=candidate.scores,
        failed=candidate.failed,
        truncated=candidate.empty and not candidate.failed,
    )


def assess_bundle(bundle: Bundle, scored: Scored, policy: Policy) -> SequentialResult | None:
    """Assess a policy by the questions of a bundle; None where the run does not stop by itself."""
    sequential = bundle.manifest.sequential
    if sequential is None:
        return None
    baseline, candidate = (arm.name for arm in bundle.manifest.arms)
    clusters = [
        [
            pair_scores(question, scored[question.id, baseline], scored[question.id, candidate])
            for question in group
        ]
        for group in group_clusters(bundle.questions)
    ]
    return assess_policy(policy, candidate, clusters, largest=sequential.largest, most=sequential.questions)
