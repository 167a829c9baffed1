"""Whether a policy can still be settled by the questions that are left: what was seen, played on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.gate.policy import Policy
from pipelines.evaluation.statistics.sequential import best_evidence, log_factors, mix_capital
from pipelines.evaluation.swap.criteria import list_criteria
from pipelines.evaluation.swap.sequential import Cluster, gather_scores
from pipelines.evaluation.swap.verdict import LEVEL

CONTINUATIONS = 100
LEAST_CLUSTERS = 20
"""What fewer clusters show is not played on."""


def chance_to_settle(
    policy: Policy, clusters: Sequence[Cluster], *, largest: int, left: int, seed: int
) -> float:
    """Estimate how likely the policy is settled by `left` more clusters; 1 where too few were seen to tell.

    Clusters to come are drawn from those that came, with weights that are drawn too (the Bayesian bootstrap,
    Rubin 1981, Annals of Statistics 9, 130-134), for what was seen is not all there is. To stop where the
    chance is small makes no claim wrong: it makes none.
    """
    if len(clusters) < LEAST_CLUSTERS:
        return 1.0
    if left <= 0:
        return 0.0
    criteria = list_criteria(policy)
    generator = np.random.default_rng([seed, len(clusters)])
    weights = generator.dirichlet(np.ones(len(clusters)), size=CONTINUATIONS)
    draws = np.stack([generator.choice(len(clusters), size=left, p=weight) for weight in weights])
    all_hold = np.ones(CONTINUATIONS, dtype=bool)
    one_fails = np.zeros(CONTINUATIONS, dtype=bool)
    fails_at = -math.log(LEVEL / len(criteria))
    for criterion in criteria:
        scores = gather_scores(criterion, clusters, largest)
        for above, needed in ((True, -math.log(LEVEL)), (False, fails_at)):
            factors = log_factors(scores, criterion.threshold, above=above)
            reached = best_evidence(scores, criterion.threshold, above=above) >= needed
            shown = np.full(CONTINUATIONS, reached) | _reach(factors, draws, needed)
            if above:
                all_hold &= shown
            else:
                one_fails |= shown
    return float(np.mean(all_hold | one_fails))


def _reach(factors: NDArray[np.float64], draws: NDArray[np.intp], needed: float) -> NDArray[np.bool_]:
    """Tell in which continuations the capital reaches what is needed."""
    start = factors.sum(axis=0)
    return np.array(
        [float(mix_capital(start + np.cumsum(factors[draw], axis=0)).max()) >= needed for draw in draws]
    )
