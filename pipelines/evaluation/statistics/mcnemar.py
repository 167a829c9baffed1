"""McNemar's exact test of two arms that each got the same questions right or wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from pipelines.evaluation.statistics.paired import Paired


@dataclass(frozen=True, slots=True)
class Discordance:
    """The questions on which the arms differ, and the exact two-sided p that they split evenly.

    `gained`: the candidate alone is right; `lost`: the baseline alone is. The p
    takes the questions for independent.
    """

    gained: int
    lost: int
    p: float


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p: a binomial test of `gained` among `gained + lost` against one half.

    McNemar (1947), Psychometrika 12, 153-157; the exact form as in Fagerland, Lydersen and Laake (2013),
    BMC Medical Research Methodology 13:91. It keeps its level at any sample size, at the price of being
    conservative where few pairs are discordant.
    """
    discordant = gained + lost
    # twice the smaller tail, at most 1: scipy's binomtest at one half, without its 2 ms of root finding
    return min(1.0, 2 * float(bdtr(min(gained, lost), discordant, 0.5))) if discordant else 1.0


def discordance(paired: Paired) -> Discordance | None:
    """None where a question is neither right nor wrong (graded scores, repeats that disagree)."""
    if not paired.binary:
        return None
    gained = int(np.count_nonzero(paired.differences > 0))
    lost = int(np.count_nonzero(paired.differences < 0))
    return Discordance(gained=gained, lost=lost, p=mcnemar(gained, lost))
