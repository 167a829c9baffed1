"""Every metric that results have: its unit, its family, which end of it is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["quality", "latency", "shape", "context"]


@dataclass(frozen=True, slots=True)
class Metric:
    """`label` is its name in a sentence. The rest as in `results.MetricResult`."""

    name: str
    family: Family
    higher_is_better: bool | None
    unit: str = ""
    label: str = ""
    primary: bool = False

    @property
    def said(self) -> str:
        return self.label or self.name


CORRECT, E2EL, PAIRS = "correct", "e2el", "pairs both right"

METRICS = (
    Metric(CORRECT, "quality", True, primary=True),
    Metric(PAIRS, "quality", True),
    Metric("exact match", "quality", True),
    Metric("token F1", "quality", True),
    Metric("supported", "quality", True, label="supported claims"),
    Metric("contradicted", "quality", False, label="contradicted claims"),
    Metric("reasoning supported", "quality", True, label="supported claims of the reasoning"),
    Metric("citation recall", "quality", True),
    Metric("citation precision", "quality", True),
    Metric("citation validity", "quality", True),
    Metric("verbatim quotes", "quality", True),
    Metric("abstention error rate", "quality", False),
    Metric("hallucination rate", "quality", False),
    Metric(E2EL, "latency", False, "ms", "E2EL", primary=True),
    Metric("ttft", "latency", False, "ms", "TTFT"),
    Metric("ttfo", "latency", False, "ms", "TTFO"),
    Metric("think", "latency", False, "ms", "think time"),
    Metric("tpot", "latency", False, "ms", "TPOT"),
    Metric("completion tokens", "latency", False, "tokens"),
    Metric("reasoning tokens", "latency", False, "tokens"),
    Metric("truncated", "shape", False, label="truncation rate"),
    Metric("words", "shape", None, "words", "answer length"),
    Metric("context recall", "context", True),
    Metric("reciprocal rank", "context", True),
)
"""In the order in which results have them. The primary two were chosen before any run."""

LOST_BY_FAILING = (CORRECT, "exact match", "token F1")
"""Of these a failed request scores 0: its user got no answer. In all others it is not scored."""
