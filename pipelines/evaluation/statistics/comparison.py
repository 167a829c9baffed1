"""One metric's difference between two arms: interval, p, discordant pairs, smallest detectable difference.

Several differences that are looked at together get Holm's p, and each one is told in one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pipelines.evaluation.statistics.bootstrap import RESAMPLES, Interval, interval, sign_flip
from pipelines.evaluation.statistics.intervals import score_interval
from pipelines.evaluation.statistics.paired import Discordance, Paired, count_discordant, sum_by_cluster
from pipelines.evaluation.statistics.power import detectable_mean, detectable_proportion

Test = Literal["bootstrap", "mcnemar", "sign-flip"]

FEW = 25
"""Discordant pairs below which large-sample tests of them are not trusted: the usual rule for McNemar's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus baseline in one metric, over `n` questions in `clusters` clusters.

    `p` is that of the bootstrap, at or under `alpha` exactly where the interval leaves 0 out. Where fewer
    than `FEW` clusters tell the arms apart the bootstrap trusts them too much, and `p` is an exact test's if
    that is greater: McNemar's where answers are right or wrong and questions independent, else the one that
    swaps the arms by cluster. `test` names the one that `p` is from. The interval is then the score interval
    where answers are right or wrong, and holds 0 where `p` is over `alpha`. It is None where the sample does
    not tell it: too few clusters, or graded scores that differ by the same everywhere.
    `p_adjusted` is Holm's, over the metrics of one `family`; it is `p` until then. `discordant` is None where
    scores are graded. `smallest_detectable` is None where the sample does not tell it.
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
    differences = paired.differences
    spread = interval(
        differences, paired.cluster, paired.clusters, seed=seed, resamples=resamples, confidence=1 - alpha
    )
    discordant = None if amounts else count_discordant(paired)
    test: Test = "bootstrap"
    p, low, high = spread.p, spread.low, spread.high
    if count_telling_clusters(paired) < FEW or spread.low is None:
        test, p = _choose_test(paired, discordant, spread.p, seed=seed, resamples=resamples)
        low, high = _choose_interval(paired, discordant, spread, p, alpha)
    return Difference(
        metric=metric,
        n=len(paired.questions),
        clusters=paired.clusters,
        unpaired=paired.unpaired,
        baseline=float(paired.baseline.mean()),
        candidate=float(paired.candidate.mean()),
        difference=spread.value,
        low=low,
        high=high,
        p=p,
        p_adjusted=p,
        test=test,
        discordant=discordant,
        smallest_detectable=_smallest_detectable(paired, discordant, spread.error, alpha),
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


def describe_difference(difference: Difference, *, baseline: str, candidate: str, unit: str = "") -> str:
    """Say in one sentence what a difference shows of two arms, and no more.

    Scores between 0 and 1 are told in points (hundredths); with a `unit` ("ms", "tokens") in that.
    """
    facts = [f"n = {_format_sample(difference)}"]
    if difference.low is not None and difference.high is not None:
        low, high = (
            _format_amount(difference.low, unit, signed=True),
            _format_amount(difference.high, unit, signed=True),
        )
        facts.append(f"{1 - difference.alpha:.0%} interval {low} to {high} {unit or 'points'}")
    corrected = " after Holm's correction" if difference.p_adjusted > difference.p else ""
    facts.append(f"p {format_p(difference.p_adjusted)}{corrected}")
    if difference.discordant is not None:
        facts.append(f"{difference.discordant.gained} gained and {difference.discordant.lost} lost")
    listed = ", ".join(facts)
    if difference.detectable:
        word = "better" if difference.better else "worse"
        size = f"{_format_amount(abs(difference.difference), unit)} {unit or 'points'}"
        return f"{candidate} is {word} than {baseline} in {difference.metric} by {size} ({listed})."
    smallest = "this sample does not tell what difference it could show"
    if difference.smallest_detectable is not None:
        size = f"{_format_amount(difference.smallest_detectable, unit)} {unit or 'points'}"
        smallest = f"the smallest detectable difference is {size}"
    arms = f"between {candidate} and {baseline}"
    return f"No detectable difference in {difference.metric} {arms} ({listed}): {smallest}."


def format_p(value: float) -> str:
    """Write the text after "p": "= 0.031", "< 0.001", never "= 0.000"."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def count_telling_clusters(paired: Paired) -> int:
    """Count the clusters that tell the arms apart."""
    sums, _ = sum_by_cluster(paired.differences, paired.cluster, paired.clusters)
    return int(np.count_nonzero(sums))


def _choose_test(
    paired: Paired, discordant: Discordance | None, p: float, *, seed: int, resamples: int
) -> tuple[Test, float]:
    if discordant is not None and not paired.clustered:
        test: Test = "mcnemar"
        exact = discordant.p
    else:
        test = "sign-flip"
        exact = sign_flip(paired.differences, paired.cluster, paired.clusters, seed=seed, resamples=resamples)
    return (test, exact) if exact >= p else ("bootstrap", p)


def _choose_interval(
    paired: Paired, discordant: Discordance | None, spread: Interval, p: float, alpha: float
) -> tuple[float | None, float | None]:
    """Choose the interval where few clusters tell the arms apart: a bootstrap cannot see a loss that did not
    happen yet, and trusts the few."""
    low, high = spread.low, spread.high
    if discordant is not None and paired.clusters > 1:
        n = len(paired.questions)
        effective = (
            n / design_effect(paired, spread.error)
            if discordant.gained + discordant.lost
            else float(paired.clusters)
        )
        share = effective / n
        low, high = score_interval(
            discordant.gained * share, discordant.lost * share, effective, confidence=1 - alpha
        )
        if p <= alpha and low <= 0 <= high:
            return spread.low, spread.high
    if low is None or high is None or p <= alpha:
        return low, high
    return min(low, 0.0), max(high, 0.0)


def _smallest_detectable(
    paired: Paired, discordant: Discordance | None, error: float, alpha: float
) -> float | None:
    if discordant is None:
        # where all differences are alike nothing is known of their spread: 0 would be a boast
        return detectable_mean(error, paired.clusters, alpha=alpha) or None
    n = len(paired.questions)
    # half a pair more in each cell, so that no discordance seen is not taken for none possible:
    # Agresti and Min (2005), Statistics in Medicine 24, 729-740
    share = (discordant.gained + discordant.lost + 1) / (n + 2)
    return detectable_proportion(n / design_effect(paired, error), share, alpha=alpha)


def design_effect(paired: Paired, error: float) -> float:
    """Compute how many times the variance is that of independent questions; at least 1. Kish (1965), 8.2."""
    if not paired.clustered:
        return 1.0
    naive = float(np.var(paired.differences, ddof=1)) / len(paired.questions)
    return max(1.0, error * error / naive) if naive > 0 and np.isfinite(error) else 1.0


def _format_sample(difference: Difference) -> str:
    return (
        f"{difference.n}"
        if difference.clusters == difference.n
        else f"{difference.n} in {difference.clusters} clusters"
    )


def _format_amount(value: float, unit: str, *, signed: bool = False) -> str:
    amount = value if unit else 100 * value
    return f"{amount:+.1f}" if signed else f"{amount:.1f}"
