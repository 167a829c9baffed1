"""A detector in the scorer's place: an NLI model or a hallucination detector, asked over HTTP.

Each passage is a premise, and the claim its hypothesis; the best passage decides (the zero-shot aggregation
of SummaC, Laban et al. 2022, with passages for its sentences).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pipelines.evaluation.grounding.calibration import PLACES, compute_probabilities
from pipelines.evaluation.grounding.claims import Claim
from pipelines.evaluation.grounding.scorer import GroundednessScorer, Grounding
from services.core.clients.reranking import DetectionClient, Prediction
from services.core.errors import InvalidRequest
from services.core.wire.grounding import SentenceEvidence

Meaning = Literal["supported", "unsupported", "contradicted"]

LABELS: Mapping[str, Meaning] = {
    "entailment": "supported",
    "entailed": "supported",
    "consistent": "supported",
    "supported": "supported",
    "factual": "supported",
    "neutral": "unsupported",
    "not_entailment": "unsupported",
    "not_supported": "unsupported",
    "unsupported": "unsupported",
    "inconsistent": "unsupported",
    "hallucinated": "unsupported",
    "hallucination": "unsupported",
    "contradiction": "contradicted",
    "contradicted": "contradicted",
}
"""Known labels in lower case. "Hallucinated" does not tell a contradiction from a lack of support."""


class DetectorScorer:
    """Takes its probabilities from a detector, and its spans from the words that claim and passage share.

    `labels` adds to `LABELS`, for models that call their classes LABEL_0 and so on.
    """

    def __init__(self, client: DetectionClient, labels: Mapping[str, Meaning] | None = None) -> None:
        self._client = client
        self._labels = {**LABELS, **{name.lower(): meaning for name, meaning in (labels or {}).items()}}
        self._span_finder = GroundednessScorer()

    @property
    def name(self) -> str:
        return "detector"

    async def score_all(self, claims: Sequence[Claim | str], passages: Sequence[str]) -> list[Grounding]:
        """Score claims against the same passages.

        Raises:
            RaglineError: What the detector's client raises.
            InvalidRequest: The detector gives a label whose meaning is not known.
        """
        premises = [text for text in passages if text.strip()]
        whole = [claim if isinstance(claim, str) else claim.whole for claim in claims]
        wanted = list(dict.fromkeys(claim for claim in whole if claim.strip()))
        placed = await self._span_finder.score_all(claims, passages)
        if not premises or not wanted:
            return placed
        predictions = await self._client.predict(
            [(premise, claim) for claim in wanted for premise in premises]
        )
        count = len(premises)
        evidence = {
            claim: self._evidence(predictions[at * count : (at + 1) * count])
            for at, claim in enumerate(wanted)
        }
        return [
            _with_evidence(place, evidence[claim]) if claim in evidence else place
            for claim, place in zip(whole, placed, strict=True)
        ]

    def _evidence(self, by_passage: Sequence[Sequence[Prediction]]) -> SentenceEvidence:
        """The evidence for one claim, whose pairs with each passage were classified."""
        meanings = [self._meanings(predictions) for predictions in by_passage]
        return SentenceEvidence(
            kind="detector",
            features={
                meaning: round(max(by_meaning.get(meaning, 0.0) for by_meaning in meanings), PLACES)
                for meaning in ("supported", "contradicted")
            },
            quoted=False,
            conflict=0.0,
        )

    def _meanings(self, predictions: Sequence[Prediction]) -> dict[Meaning, float]:
        """The probability of each meaning; a classifier with a single label has the other one's too."""
        by_meaning: dict[Meaning, float] = {}
        for prediction in predictions:
            meaning = self._labels.get(prediction.label.lower())
            if meaning is None:
                known = ", ".join(known.label for known in predictions)
                raise InvalidRequest(
                    f"the detector's labels are {known}: say what {prediction.label} means in "
                    f"GROUNDING_DETECTOR_LABELS, as {prediction.label}=supported, unsupported or contradicted"
                )
            by_meaning[meaning] = by_meaning.get(meaning, 0.0) + prediction.score
        if len(predictions) == 1 and "supported" not in by_meaning:
            by_meaning["supported"] = 1 - predictions[0].score
        return by_meaning


def _with_evidence(place: Grounding, evidence: SentenceEvidence) -> Grounding:
    """A grounding with the spans of one and the probabilities of the detector's evidence."""
    supported, contradicted = compute_probabilities(evidence)
    return Grounding(supported, contradicted, place.spans, place.against, evidence)


def parse_labels(text: str) -> dict[str, Meaning]:
    """Read `LABEL_0=contradicted,LABEL_1=supported`. Raises `ValueError` that says what a part should be."""
    labels: dict[str, Meaning] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, meaning = (side.strip() for side in part.partition("="))
        if not name or meaning not in ("supported", "unsupported", "contradicted"):
            raise ValueError(f"{part!r} is not LABEL=supported, unsupported or contradicted")
        labels[name] = meaning  # type: ignore[assignment]  # one of the three
    return labels
