"""From a sentence's evidence to its probabilities and its verdict. Pure: the same evidence, the same bits.

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


def probabilities(found: SentenceEvidence) -> tuple[float, float]:
    """(p_supported, p_contradicted), to four places; together at most 1, but for the rounding."""
    if found.kind == "detector":
        supported, contradicted = found.features["supported"], found.features["contradicted"]
        return round(supported, PLACES), round(contradicted * (1 - supported), PLACES)
    return by_rules(found, calibration(found.kind))


def by_rules(found: SentenceEvidence, weights: Calibration) -> tuple[float, float]:
    """The same with these weights, for evidence that is no detector's."""
    weighed = weights.probability(found.features)
    supported = max(weighed, QUOTED) if found.quoted else weighed
    supported *= 1 - found.conflict
    return round(supported, PLACES), round(found.conflict * (1 - supported), PLACES)


def verdict(p_supported: float, p_contradicted: float) -> Verdict:
    """By the greater of the two where it is over a half."""
    if max(p_supported, p_contradicted) <= THRESHOLD:
        return "unsupported"
    return "contradicted" if p_contradicted > p_supported else "supported"


def judged(sentence: GroundedSentence) -> GroundedSentence:
    """The same with the figures that its evidence has now; one without evidence as it is."""
    if sentence.evidence is None:
        return sentence
    supported, contradicted = probabilities(sentence.evidence)
    return sentence.model_copy(
        update={
            "verdict": verdict(supported, contradicted),
            "p_supported": supported,
            "p_contradicted": contradicted,
        }
    )


def summed(sentences: Sequence[GroundedSentence]) -> GroundedText:
    counts = {
        name: sum(each.verdict == name for each in sentences)
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
    """The record scored again from the evidence that it keeps, offline and without the passages.

    Equal to the record, bit for bit, as long as the fitted numbers and the rules are the same. What is a
    claim, the spans, the trace's verdict and the evidence itself are taken as they are.
    """
    return record.model_copy(
        update={
            "calibration": record.calibration if record.calibration == "detector" else calibration_id(),
            "answer": _again(record.answer),
            "reasoning": None if record.reasoning is None else _again(record.reasoning),
        }
    )


def _again(text: GroundedText) -> GroundedText:
    return summed([judged(each) for each in text.sentences])
