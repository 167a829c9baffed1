"""Turns a sentence's evidence into probabilities and a verdict. Pure: the same evidence, the same bits.

The probability is a logistic regression whose numbers `make fit-grounding` has fitted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from services.core.wire.grounding import (
    AnswerGroundedness,
    CalibrationKind,
    GroundedSentence,
    GroundedText,
    SentenceEvidence,
    Verdict,
)

QUOTED = 0.95
"""Least p of a sentence that a passage has word for word. A rule: the people's labels hold few such."""
THRESHOLD = 0.5
UNKNOWN = 0.5
"""Where nothing can be read, the prior that the fitted numbers are for."""
PLACES = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = 1 / (1 + e^-(intercept + sum of weight * feature)); features that have no weight count nothing."""

    intercept: float
    weights: Mapping[str, float]

    def probability(self, features: Mapping[str, float]) -> float:
        """Compute how likely a person would call the claim supported, in (0, 1)."""
        score = self.intercept + sum(weight * features[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


@cache
def load_calibration(kind: CalibrationKind) -> Calibration:
    """Load the fitted numbers: `full` uses the embedding model's evidence too, `lexical` does without."""
    fitted = json.loads(_read_fitted())[kind]
    return Calibration(fitted["intercept"], fitted["weights"])


@cache
def calibration_id() -> str:
    """Return the beginning of the fitted numbers' SHA-256."""
    return hashlib.sha256(_read_fitted()).hexdigest()[:12]


def _read_fitted() -> bytes:
    return files(__package__).joinpath("fitted.json").read_bytes()


def compute_probabilities(evidence: SentenceEvidence) -> tuple[float, float]:
    """Compute p_supported and p_contradicted, to four places; at most 1 together, but for the rounding."""
    if evidence.kind == "detector":
        supported, contradicted = evidence.features["supported"], evidence.features["contradicted"]
        return round(supported, PLACES), round(contradicted * (1 - supported), PLACES)
    return apply_rules(evidence, load_calibration(evidence.kind))


def apply_rules(evidence: SentenceEvidence, weights: Calibration) -> tuple[float, float]:
    """Compute the probabilities with these weights, for evidence that is no detector's."""
    weighed = weights.probability(evidence.features)
    supported = max(weighed, QUOTED) if evidence.quoted else weighed
    supported *= 1 - evidence.conflict
    return round(supported, PLACES), round(evidence.conflict * (1 - supported), PLACES)


def verdict(p_supported: float, p_contradicted: float) -> Verdict:
    """Return the outcome of a check: that of the greater probability where it is over a half."""
    if max(p_supported, p_contradicted) <= THRESHOLD:
        return "unsupported"
    return "contradicted" if p_contradicted > p_supported else "supported"


def judge_sentence(sentence: GroundedSentence) -> GroundedSentence:
    """Return the sentence with the figures that its evidence has now; one without evidence as it is."""
    if sentence.evidence is None:
        return sentence
    supported, contradicted = compute_probabilities(sentence.evidence)
    return sentence.model_copy(
        update={
            "verdict": verdict(supported, contradicted),
            "p_supported": supported,
            "p_contradicted": contradicted,
        }
    )


def sum_up(sentences: Sequence[GroundedSentence]) -> GroundedText:
    """Put a text's sentences together with their counts and the share of claims that are supported."""
    counts = {
        name: sum(sentence.verdict == name for sentence in sentences)
        for name in ("supported", "unsupported", "contradicted")
    }
    claims = sum(counts.values())
    return GroundedText(
        sentences=list(sentences),
        claims=claims,
        share_supported=round(counts["supported"] / claims, PLACES) if claims else None,
        **counts,
    )


def rescore(record: AnswerGroundedness) -> AnswerGroundedness:
    """Score a record again from the evidence that it keeps, offline and without the passages.

    Equal to the record, bit for bit, as long as the fitted numbers and the rules are the same. What is a
    claim, the spans, the trace's verdict and the evidence itself are taken as they are.
    """
    return record.model_copy(
        update={
            "calibration": record.calibration if record.calibration == "detector" else calibration_id(),
            "answer": _rescore_text(record.answer),
            "reasoning": None if record.reasoning is None else _rescore_text(record.reasoning),
        }
    )


def _rescore_text(text: GroundedText) -> GroundedText:
    return sum_up([judge_sentence(sentence) for sentence in text.sentences])
