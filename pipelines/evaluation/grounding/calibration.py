"""From evidence to a probability: a logistic regression whose numbers `make fit-grounding` has fitted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from pipelines.evaluation.grounding.evidence import Evidence

Kind = Literal["full", "lexical"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = 1 / (1 + e^-(intercept + sum of weight * feature)); features that have no weight count nothing."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, evidence: Evidence) -> float:
        """That a person would call the claim supported, in (0, 1)."""
        score = self.intercept + sum(
            weight * float(getattr(evidence, name)) for name, weight in self.weights.items()
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def calibration(kind: Kind) -> Calibration:
    """`full` uses the embedding model's evidence too, `lexical` does without."""
    fitted = json.loads(files(__package__).joinpath("fitted.json").read_text("utf-8"))[kind]
    return Calibration(fitted["intercept"], fitted["weights"])
