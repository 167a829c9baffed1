"""What the scores of a comparison show, and what they do not. Pure; docs/evaluation.md has the formulas.

`pair` aligns two arms by question, `compare` gives the difference with its interval and p, `family` corrects
for several metrics, `verdict` says it in one sentence.
"""

from pipelines.evaluation.statistics.bootstrap import Interval, mean_interval
from pipelines.evaluation.statistics.comparison import FEW, Difference, compare, family
from pipelines.evaluation.statistics.mcnemar import Discordance, mcnemar
from pipelines.evaluation.statistics.multiplicity import holm
from pipelines.evaluation.statistics.paired import Paired, Score, pair
from pipelines.evaluation.statistics.percentiles import Percentile, percentile, samples_needed
from pipelines.evaluation.statistics.power import (
    detectable_mean,
    detectable_proportion,
    questions_needed,
)
from pipelines.evaluation.statistics.proportions import proportion_interval, share_interval
from pipelines.evaluation.statistics.score import score_interval
from pipelines.evaluation.statistics.verdicts import said_p, verdict

__all__ = [
    "FEW",
    "Difference",
    "Discordance",
    "Interval",
    "Paired",
    "Percentile",
    "Score",
    "compare",
    "detectable_mean",
    "detectable_proportion",
    "family",
    "holm",
    "mcnemar",
    "mean_interval",
    "pair",
    "percentile",
    "proportion_interval",
    "questions_needed",
    "said_p",
    "samples_needed",
    "score_interval",
    "share_interval",
    "verdict",
]
