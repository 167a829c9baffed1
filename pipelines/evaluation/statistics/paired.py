"""Two arms' scores, aligned by question, and McNemar's exact test of them.

Repeats are averaged within their question first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from services.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Score:
    """One metric's value for one answer.

    Questions with the same `cluster` (a passage, a document, a family of riddles) are not independent of
    each other; a question without one stands alone.
    """

    question: str
    value: float
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Paired:
    """Two arms' scores of the same questions, in the baseline's order: each arm's mean over repeats, and the
    cluster's number.

    Clusters are numbered 0 to `clusters - 1`. `unpaired` questions were scored in one arm only and are left
    out: a difference is only known where both arms answered.
    """

    questions: tuple[str, ...]
    baseline: NDArray[np.float64]
    candidate: NDArray[np.float64]
    cluster: NDArray[np.intp]
    clusters: int
    unpaired: int

    @property
    def differences(self) -> NDArray[np.float64]:
        """Candidate minus baseline, per question."""
        return self.candidate - self.baseline

    @property
    def clustered(self) -> bool:
        return self.clusters < len(self.questions)

    @property
    def binary(self) -> bool:
        """Every question is plainly right or wrong in both arms; False where repeats disagree."""
        return bool(np.isin(self.baseline, (0.0, 1.0)).all() and np.isin(self.candidate, (0.0, 1.0)).all())


def pair(baseline: Iterable[Score], candidate: Iterable[Score]) -> Paired:
    """Align two arms by question. InvalidRequest where no question is in both, or a question is in two
    clusters."""
    left, right = _average_repeats(baseline), _average_repeats(candidate)
    shared = [question for question in left if question in right]
    if not shared:
        raise InvalidRequest("the two arms have no question in common: nothing can be compared")
    names = [_check_cluster(question, left[question][1], right[question][1]) for question in shared]
    cluster, clusters = number_clusters(names)
    return Paired(
        questions=tuple(shared),
        baseline=np.array([left[question][0] for question in shared]),
        candidate=np.array([right[question][0] for question in shared]),
        cluster=cluster,
        clusters=clusters,
        unpaired=len(left.keys() ^ right.keys()),
    )


def number_clusters(clusters: Sequence[str]) -> tuple[NDArray[np.intp], int]:
    """Number the clusters: each item's number, in order of appearance, and how many there are; "" stands
    alone."""
    keys = [(name, None) if name else ("", index) for index, name in enumerate(clusters)]
    number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], dtype=np.intp), len(number)


def sum_by_cluster(
    values: NDArray[np.float64], cluster: NDArray[np.intp], clusters: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Add up each cluster's values, and count them."""
    sums = np.bincount(cluster, weights=values, minlength=clusters).astype(np.float64)
    return sums, np.bincount(cluster, minlength=clusters).astype(np.float64)


def _average_repeats(scores: Iterable[Score]) -> dict[str, tuple[float, str]]:
    values: dict[str, list[float]] = {}
    clusters: dict[str, str] = {}
    for score in scores:
        if not math.isfinite(score.value):
            raise InvalidRequest(
                f"question {score.question!r} has the score {score.value}: scores are finite"
            )
        values.setdefault(score.question, []).append(score.value)
        _check_cluster(score.question, clusters.setdefault(score.question, score.cluster), score.cluster)
    return {
        question: (math.fsum(repeats) / len(repeats), clusters[question])
        for question, repeats in values.items()
    }


def _check_cluster(question: str, one: str, other: str) -> str:
    if one != other:
        raise InvalidRequest(f"question {question!r} is in two clusters, {one!r} and {other!r}: it has one")
    return one


@dataclass(frozen=True, slots=True)
class Discordance:
    """Holds how many questions the arms differ on, and the exact two-sided p that they split evenly.

    `gained`: the candidate alone is right; `lost`: the baseline alone is. The p takes the questions for
    independent.
    """

    gained: int
    lost: int
    p: float


def mcnemar(gained: int, lost: int) -> float:
    """Compute the exact two-sided p: a binomial test of `gained` among `gained + lost` against one half.

    McNemar (1947), Psychometrika 12, 153-157; the exact form as in Fagerland, Lydersen and Laake (2013),
    BMC Medical Research Methodology 13:91. It keeps its level at any sample size, at the price of being
    conservative where few pairs are discordant.
    """
    discordant = gained + lost
    # twice the smaller tail, at most 1: scipy's binomtest at one half, without its 2 ms of root finding
    return min(1.0, 2 * float(bdtr(min(gained, lost), discordant, 0.5))) if discordant else 1.0


def count_discordant(paired: Paired) -> Discordance | None:
    """Count the questions that only one arm got right; None where a question is neither right nor wrong
    (graded scores, repeats that disagree)."""
    if not paired.binary:
        return None
    gained = int(np.count_nonzero(paired.differences > 0))
    lost = int(np.count_nonzero(paired.differences < 0))
    return Discordance(gained=gained, lost=lost, p=mcnemar(gained, lost))
