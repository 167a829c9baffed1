"""From a bundle's answers to its results. Pure: no service, no model, no clock; the same bits every time.

scores       each answer's metrics, and which answers are looked at together
latencies    an answer's times, the search counted in
comparisons  a metric's mean per arm, every arm against the baseline, latency as a factor
counts       outcomes, abstention, percentiles, stages
preferences  what a judge's verdicts come to
summary      what a reader must know first, and the verdicts
"""

from pipelines.evaluation.analysis.results import compute_results

__all__ = ["compute_results"]
