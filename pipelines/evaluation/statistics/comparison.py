"""One metric's difference between two arms: interval, p, discordant pairs, smallest detectable difference.

Several differences that are looked at together get Holm's p, and each one is told in one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import stdtrit
from scipy.stats import binom

from pipelines.evaluation.statistics.bootstrap import RESAMPLES, Interval, guarded_interval, interval
from pipelines.evaluation.statistics.intervals import score_interval
from pipelines.evaluation.statistics.paired import Discordance, Paired, count_discordant, sum_by_cluster
from pipelines.evaluation.statistics.power import (
    POWER,
    detectable_exactly,
    detectable_in_clusters,
    detectable_mean,
    detectable_proportion,
)

Test = Literal["bootstrap", "mcnemar", "sign-flip"]

FEW = 25
"""Discordant pairs below which large-sample tests of them are not trusted: the usual rule for McNemar's."""
LEAST_CLUSTERS = 6
"""Below them no signs that are flipped by cluster give a p under 5 %."""
GUARD, GUARD_OF_CLUSTERS, GUARD_OF_SHARES = 0.02, 0.04, 0.05
"""The power that the greater of two p costs, which is asked for besides: of graded scores, of those in
clusters, and of right and wrong in clusters; `make bench-statistics` measures them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus baseline in one metric, over `n` questions in `clusters` clusters.

    `p` is at or under `alpha` exactly where the interval leaves 0 out. It is the greater of the bootstrap's
    and of an exact test's, which `test` names: of right and wrong answers to independent questions McNemar's,
    where fewer than `FEW` tell the arms apart; else the one that swaps the arms by cluster. Where answers are
    right or wrong, and in clusters or few discordant, the interval is the score interval. It is None where
    the sample does not tell it: too few clusters, or graded scores that differ by the same everywhere.
    `p_adjusted` is Holm's, over the metrics of one `family`; it is `p` until then. `discordant` is None where
    scores are graded. `smallest_detectable` is None where the sample shows nothing, or does not tell it.
    """

    metric: str
    n: int
    clusters: int
    unpaired: int
    baseline: float
    candidate: float
    difference: float
    low: float | None
    high: float | None
    p: float
    p_adjusted: float
    test: Test
    discordant: Discordance | None
    smallest_detectable: float | None
    alpha: float
    higher_is_better: bool

    @property
    def detectable(self) -> bool:
        return self.p_adjusted <= self.alpha and self.difference != 0

    @property
    def better(self) -> bool | None:
        """Whether the candidate is; None where no difference is detectable."""
        return (self.difference > 0) == self.higher_is_better if self.detectable else None


def compare(
    metric: str,
    paired: Paired,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    alpha: float = 0.05,
    higher_is_better: bool = True,
    amounts: bool = False,
) -> Difference:
    """Compare two arms in one metric. The same arguments give the same result, bit for bit.

    `amounts`: scores are no shares, so that 0 and 1 are not wrong and right (times, tokens, words).
    """
    discordant = None if amounts else count_discordant(paired)
    test: Test
    if discordant is not None and not paired.clustered:
        test, spread = _compare_independent(paired, discordant, seed, resamples, alpha)
    else:
        test, spread = _compare_clusters(paired, discordant, seed, resamples, alpha)
    shares = not amounts and max(paired.baseline.max(), paired.candidate.max()) <= 1
    return Difference(
        metric=metric,
        n=len(paired.questions),
        clusters=paired.clusters,
        unpaired=paired.unpaired,
        baseline=float(paired.baseline.mean()),
        candidate=float(paired.candidate.mean()),
        difference=spread.value,
        low=spread.low,
        high=spread.high,
        p=spread.p,
        p_adjusted=spread.p,
        test=test,
        discordant=discordant,
        smallest_detectable=_smallest_detectable(paired, discordant, spread, alpha, shares=bool(shares)),
        alpha=alpha,
        higher_is_better=higher_is_better,
    )


def adjust_together(differences: Sequence[Difference]) -> list[Difference]:
    """Adjust the p of differences that are looked at together."""
    adjusted = holm([difference.p for difference in differences])
    return [replace(difference, p_adjusted=p) for difference, p in zip(differences, adjusted, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p values by Holm's method, in the order given: all at or under alpha hold together at level
    alpha.

    Holm (1979), Scandinavian Journal of Statistics 6, 65-70: the k-th smallest of m is multiplied by
    m - k + 1, never below a smaller one's and never above 1.
    """
    adjusted = [1.0] * len(p)
    floor = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        floor = min(1.0, max(floor, (len(p) - rank) * p[index]))
        adjusted[index] = floor
    return adjusted


def _compare_independent(
    paired: Paired, discordant: Discordance, seed: int, resamples: int, alpha: float
) -> tuple[Test, Interval]:
    """Compare answers that are right or wrong, each question on its own.

    Where few tell the arms apart the bootstrap trusts them too much, and cannot see a loss that did not
    happen yet: the score interval stands in its place, with the greater of the two p.
    """
    spread = interval(
        paired.differences,
        paired.cluster,
        paired.clusters,
        seed=seed,
        resamples=resamples,
        confidence=1 - alpha,
    )
    if discordant.gained + discordant.lost >= FEW and spread.low is not None:
        # the smoothed bootstrap is a little bold there; the mid-p of the exact test is not
        half = discordant.p - float(binom.pmf(discordant.lost, discordant.gained + discordant.lost, 0.5))
        test: Test = "mcnemar" if half > spread.p else "bootstrap"
        return test, _agree(spread, spread.low, spread.high, max(spread.p, half), alpha)
    p = max(spread.p, discordant.p)
    low, high = spread.low, spread.high
    if paired.clusters > 1:
        low, high = score_interval(discordant.gained, discordant.lost, paired.clusters, confidence=1 - alpha)
        if p <= alpha and low <= 0 <= high:
            low, high = spread.low, spread.high
    return "mcnemar" if discordant.p >= spread.p else "bootstrap", _agree(spread, low, high, p, alpha)


def _compare_clusters(
    paired: Paired, discordant: Discordance | None, seed: int, resamples: int, alpha: float
) -> tuple[Test, Interval]:
    """Compare graded scores, or questions in clusters. Of right and wrong, where fewer clusters tell the arms
    apart than have an interval, it is the score interval of so many independent questions as tell as much,
    with t for z."""
    spread = guarded_interval(
        paired.differences,
        paired.cluster,
        paired.clusters,
        seed=seed,
        resamples=resamples,
        confidence=1 - alpha,
    )
    test: Test = spread.test
    telling = count_telling_clusters(paired)
    if discordant is None or paired.clusters < 2 or (telling >= LEAST_CLUSTERS and spread.low is not None):
        return test, spread
    if discordant.gained + discordant.lost:
        n = len(paired.questions) / design_effect(paired, spread.error)
        share = n / len(paired.questions)
        quantile = -float(stdtrit(spread.freedom or 1.0, alpha / 2))
        low, high = score_interval(discordant.gained * share, discordant.lost * share, n, quantile=quantile)
    else:  # each cluster counts as one question
        low, high = score_interval(0, 0, paired.clusters, confidence=1 - alpha)
    if spread.p <= alpha and low <= 0 <= high:
        return test, spread
    return test, _agree(spread, low, high, spread.p, alpha)


def _agree(spread: Interval, low: float | None, high: float | None, p: float, alpha: float) -> Interval:
    """Give a spread another interval and p; the interval holds 0 where p is over `alpha`."""
    if low is not None and high is not None and p > alpha:
        low, high = min(low, 0.0), max(high, 0.0)
    return replace(spread, low=low, high=high, p=p)


def _smallest_detectable(
    paired: Paired, discordant: Discordance | None, spread: Interval, alpha: float, *, shares: bool
) -> float | None:
    """Find what the sample could show; None where that is nothing: too few clusters for any p under `alpha`,
    a difference of shares over 1, or differences all alike, of whose spread nothing is known."""
    if discordant is None:
        if paired.clusters < LEAST_CLUSTERS:
            return None
        power = POWER + (GUARD_OF_CLUSTERS if paired.clustered else GUARD)
        smallest = detectable_mean(
            spread.error, paired.clusters, freedom=spread.freedom, alpha=alpha, power=power
        )
        return smallest if smallest and not (shares and smallest > 1) else None
    n = len(paired.questions)
    # half a pair more in each cell, so that no discordance seen is not taken for none possible:
    # Agresti and Min (2005), Statistics in Medicine 24, 729-740
    share = (discordant.gained + discordant.lost + 1) / (n + 2)
    if not paired.clustered:
        few = n * share < FEW
        return (
            detectable_exactly(n, share, alpha=alpha) if few else detectable_proportion(n, share, alpha=alpha)
        )
    if paired.clusters < LEAST_CLUSTERS:
        return None
    return detectable_in_clusters(
        n / design_effect(paired, spread.error),
        share,
        spread.freedom or 1.0,
        alpha=alpha,
        power=POWER + GUARD_OF_SHARES,
    )


def count_telling_clusters(paired: Paired) -> int:
    """Count the clusters that tell the arms apart."""
    sums, _ = sum_by_cluster(paired.differences, paired.cluster, paired.clusters)
    return int(np.count_nonzero(sums))


def design_effect(paired: Paired, error: float) -> float:
    """Compute how many times the variance is that of independent questions; at least 1. Kish (1965), 8.2."""
    if not paired.clustered:
        return 1.0
    naive = float(np.var(paired.differences, ddof=1)) / len(paired.questions)
    return max(1.0, error * error / naive) if naive > 0 and np.isfinite(error) else 1.0
