"""What the scores of a comparison show, and what they do not. Pure.

`pair` aligns two arms by question, `compare` gives the difference with its interval and p, `adjust_together`
corrects for several metrics, `describe_difference` says it in one sentence. docs/evaluation/statistics.md has
the formulas.
"""

from pipelines.evaluation.statistics.bootstrap import Interval, mean_interval
from pipelines.evaluation.statistics.comparison import (
    FEW,
    Difference,
    adjust_together,
    compare,
    holm,
)
from pipelines.evaluation.statistics.intervals import (
    Percentile,
    percentile,
    proportion_interval,
    samples_needed,
    score_interval,
    share_interval,
)
from pipelines.evaluation.statistics.margin import MarginTests, compare_with_margin, more_questions
from pipelines.evaluation.statistics.paired import Discordance, Paired, Score, mcnemar, pair
from pipelines.evaluation.statistics.power import (
    detectable_mean,
    detectable_proportion,
    questions_needed,
)
from pipelines.evaluation.statistics.sentences import describe_difference, describe_exploratory, format_p

__all__ = [
    "FEW",
    "Difference",
    "Discordance",
    "Interval",
    "MarginTests",
    "Paired",
    "Percentile",
    "Score",
    "adjust_together",
    "compare",
    "compare_with_margin",
    "describe_difference",
    "describe_exploratory",
    "detectable_mean",
    "detectable_proportion",
    "format_p",
    "holm",
    "mcnemar",
    "mean_interval",
    "more_questions",
    "pair",
    "percentile",
    "proportion_interval",
    "questions_needed",
    "samples_needed",
    "score_interval",
    "share_interval",
]
