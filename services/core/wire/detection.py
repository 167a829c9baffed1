"""text-embeddings-inference's `/predict` for pairs of texts, as classifiers of entailment answer it."""

from __future__ import annotations

from services.core.wire.base import Wire


class Prediction(Wire):
    """A class and its probability; a pair's are those of all classes, the greatest first."""

    score: float
    label: str
