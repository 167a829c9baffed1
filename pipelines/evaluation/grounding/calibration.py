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
    GroundedSentence,
    GroundedText,
    SentenceEvidence,
    Verdict,
)

VERSION = 2
"""Of the scorer's features and rules. Evidence of an earlier version is not scored again."""
QUOTED = 0.95
"""Least p of a sentence that a passage has word for word. A rule: the people's labels hold few such."""
SUPPORTED = 0.62
"""p over which the scorer's verdict is `supported`: there the share of supported is nearest to people's."""
THRESHOLD = 0.5
"""p over which a detector's verdict is `supported`, and any verdict `contradicted`."""
UNKNOWN = 0.5
"""Where nothing can be read, the prior that the fitted numbers are for."""
PLACES = 4


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = 1 / (1 + e^-(intercept + sum of weight * feature)), with no weight below 0."""

    intercept: float
    weights: Mapping[str, float]

    def score(self, features: Mapping[str, float]) -> float:
        """Compute the log odds that a person would call it supported."""
        return self.intercept + sum(weight * features[name] for name, weight in self.weights.items())


@dataclass(frozen=True, slots=True)
class FittedNumbers:
    """What `make fit-grounding` has fitted: for sentences and their clauses, and for short answers.

    `slack`: how far the odds of a sentence may be above those of its weakest clause, in log odds.
    """

    sentence: Calibration
    slack: float
    short: Calibration

    def probability(self, evidence: SentenceEvidence) -> float:
        """Compute how likely a person would call it supported, by its words alone, in (0, 1)."""
        if evidence.kind == "short":
            return to_probability(self.short.score(evidence.features))
        weakest = min((self.sentence.score(clause) for clause in evidence.clauses), default=math.inf)
        return to_probability(min(self.sentence.score(evidence.features), weakest + self.slack))


def to_probability(score: float) -> float:
    """Turn log odds into a probability."""
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


@cache
def load_fitted() -> FittedNumbers:
    """Load the fitted numbers."""
    fitted = json.loads(_read_fitted())
    sentence, short = (
        Calibration(fitted[name]["intercept"], fitted[name]["weights"]) for name in ("sentence", "short")
    )
    return FittedNumbers(sentence, fitted["slack"], short)


@cache
def calibration_id() -> str:
    """Return the scorer's version, and the beginning of the fitted numbers' SHA-256."""
    return f"{VERSION}-{hashlib.sha256(_read_fitted()).hexdigest()[:12]}"


def _read_fitted() -> bytes:
    return files(__package__).joinpath("fitted.json").read_bytes()


def compute_probabilities(evidence: SentenceEvidence) -> tuple[float, float]:
    """Compute p_supported and p_contradicted, to four places; at most 1 together, but for the rounding."""
    if evidence.kind == "detector":
        supported, contradicted = evidence.features["supported"], evidence.features["contradicted"]
        return round(supported, PLACES), round(contradicted * (1 - supported), PLACES)
    return apply_rules(evidence, load_fitted())


def apply_rules(evidence: SentenceEvidence, fitted: FittedNumbers) -> tuple[float, float]:
    """Compute the probabilities with these numbers, for evidence that is no detector's."""
    supported = fitted.probability(evidence) if evidence.calibrated else UNKNOWN
    if evidence.unsettled:
        supported = min(supported, UNKNOWN)
    supported *= 1 - evidence.conflict
    if evidence.quoted:  # after what speaks against it: a passage that says it does not contradict it
        supported = max(supported, QUOTED)
    return round(supported, PLACES), round(evidence.conflict * (1 - supported), PLACES)


def verdict(p_supported: float, p_contradicted: float, *, least: float = SUPPORTED) -> Verdict:
    """Return the outcome of a check; `least` is the p over which it is supported."""
    if p_contradicted > max(p_supported, THRESHOLD):
        return "contradicted"
    return "supported" if p_supported > least else "unsupported"


def is_outdated(evidence: SentenceEvidence | None) -> bool:
    """Tell whether evidence is of an earlier scorer, whose features are no longer fitted."""
    return evidence is not None and evidence.kind in {"full", "lexical"}


def judge_sentence(sentence: GroundedSentence) -> GroundedSentence:
    """Return the sentence with the figures that its evidence has now; one without evidence, or with that of
    an earlier scorer, as it is."""
    evidence = sentence.evidence
    if evidence is None or is_outdated(evidence):
        return sentence
    supported, contradicted = compute_probabilities(evidence)
    known = evidence.calibrated or evidence.quoted
    least = THRESHOLD if evidence.kind == "detector" else SUPPORTED
    return sentence.model_copy(
        update={
            "verdict": verdict(supported, contradicted, least=least) if known else "not judged",
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
        not_judged=sum(sentence.verdict == "not judged" for sentence in sentences),
        share_supported=round(counts["supported"] / claims, PLACES) if claims else None,
        **counts,
    )


def rescore(record: AnswerGroundedness) -> AnswerGroundedness:
    """Score a record again from the evidence that it keeps, offline and without the passages.

    Equal to the record, bit for bit, as long as the fitted numbers and the rules are the same. What is a
    claim, the spans, the trace's verdict and the evidence itself are taken as they are. A record of an
    earlier scorer is returned as it is, `calibration` too: `ground_again` reads its passages.
    """
    if record.calibration == "detector" or keeps_outdated_evidence(record):
        calibration = record.calibration
    else:
        calibration = calibration_id()
    return record.model_copy(
        update={
            "calibration": calibration,
            "answer": _rescore_text(record.answer),
            "reasoning": None if record.reasoning is None else _rescore_text(record.reasoning),
        }
    )


def keeps_outdated_evidence(record: AnswerGroundedness) -> bool:
    """Tell whether any sentence of a record was judged by an earlier scorer."""
    texts = (record.answer, record.reasoning)
    return any(is_outdated(sentence.evidence) for text in texts if text for sentence in text.sentences)


def _rescore_text(text: GroundedText) -> GroundedText:
    return sum_up([judge_sentence(sentence) for sentence in text.sentences])
