"""From evidence to a probability: a logistic regression whose numbers `make fit-grounding` has fitted."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from services.core.wire.grounding import CalibrationKind


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = 1 / (1 + e^-(intercept + sum of weight * feature)); features that have no weight count nothing."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, features: Mapping[str, float]) -> float:
        """That a person would call the claim supported, in (0, 1)."""
        score = self.intercept + sum(weight * features[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


@cache
def calibration(kind: CalibrationKind) -> Calibration:
    """`full` uses the embedding model's evidence too, `lexical` does without."""
    fitted = json.loads(_fitted())[kind]
    return Calibration(fitted["intercept"], fitted["weights"])


@cache
def calibration_id() -> str:
    """The beginning of the fitted numbers' SHA-256."""
    return hashlib.sha256(_fitted()).hexdigest()[:12]


def _fitted() -> bytes:
    return files(__package__).joinpath("fitted.json").read_bytes()
