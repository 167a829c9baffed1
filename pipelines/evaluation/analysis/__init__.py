"""From a bundle's answers to its results. Pure: no service, no model, no clock; the same bits every time.

marks      each answer's metrics, with what a failed request costs
latencies  its times, the search counted in
scopes     which questions are looked at together
rates      a metric's mean per arm, and every arm against the baseline
ratios     latency as a factor
counts     outcomes, abstention, percentiles, stages
cautions   what a reader must know first
findings   the verdicts
"""

from pipelines.evaluation.analysis.results import results

__all__ = ["results"]
