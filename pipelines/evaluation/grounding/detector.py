"""A detector in the scorer's place: an NLI model or a hallucination detector, asked over HTTP.

Each passage is a premise, and the claim its hypothesis; the best passage decides (the zero-shot aggregation
of SummaC, Laban et al. 2022, with passages for its sentences).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pipelines.evaluation.grounding.calibration import PLACES, probabilities
from pipelines.evaluation.grounding.scorer import GroundednessScorer, Grounding
from services.core.clients.detection import DetectionClient
from services.core.errors import InvalidRequest
from services.core.wire.detection import Prediction
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
    """Probabilities by a detector, spans by the words that claim and passage share.

    `labels` adds to `LABELS`, for models that call their classes LABEL_0 and so on.
    """

    def __init__(self, client: DetectionClient, labels: Mapping[str, Meaning] | None = None) -> None:
        self._client = client
        self._labels = {**LABELS, **{name.lower(): meaning for name, meaning in (labels or {}).items()}}
        self._places = GroundednessScorer()

    @property
    def name(self) -> str:
        return "detector"

    async def score_all(self, claims: Sequence[str], passages: Sequence[str]) -> list[Grounding]:
        """Raises what the detector's client raises, and `InvalidRequest` for a label without a meaning."""
        premises = [text for text in passages if text.strip()]
        said = list(dict.fromkeys(claim for claim in claims if claim.strip()))
        placed = await self._places.score_all(claims, passages)
        if not premises or not said:
            return placed
        replied = await self._client.predict([(premise, claim) for claim in said for premise in premises])
        count = len(premises)
        found = {
            claim: self._evidence(replied[at * count : (at + 1) * count]) for at, claim in enumerate(said)
        }
        return [
            _judged(found[claim], place) if claim in found else place
            for claim, place in zip(claims, placed, strict=True)
        ]

    def _evidence(self, replied: Sequence[Sequence[Prediction]]) -> SentenceEvidence:
        """Of one claim, whose pairs with each passage were classified."""
        read = [self._read(each) for each in replied]
        return SentenceEvidence(
            kind="detector",
            features={
                meaning: round(max(each.get(meaning, 0.0) for each in read), PLACES)
                for meaning in ("supported", "contradicted")
            },
            quoted=False,
            conflict=0.0,
        )

    def _read(self, predictions: Sequence[Prediction]) -> dict[Meaning, float]:
        """The probability of each meaning; a classifier with a single label has the other one's too."""
        found: dict[Meaning, float] = {}
        for each in predictions:
            meaning = self._labels.get(each.label.lower())
            if meaning is None:
                known = ", ".join(prediction.label for prediction in predictions)
                raise InvalidRequest(
                    f"the detector's labels are {known}: say what {each.label} means in "
                    f"GROUNDING_DETECTOR_LABELS, as {each.label}=supported, unsupported or contradicted"
                )
            found[meaning] = found.get(meaning, 0.0) + each.score
        if len(predictions) == 1 and "supported" not in found:
            found["supported"] = 1 - predictions[0].score
        return found


def _judged(weighed: SentenceEvidence, place: Grounding) -> Grounding:
    supported, contradicted = probabilities(weighed)
    return Grounding(supported, contradicted, place.spans, place.against, weighed)


def parse_labels(text: str) -> dict[str, Meaning]:
    """`LABEL_0=contradicted,LABEL_1=supported`. Raises `ValueError` that says what a part should be."""
    found: dict[str, Meaning] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, meaning = (each.strip() for each in part.partition("="))
        if not name or meaning not in ("supported", "unsupported", "contradicted"):
            raise ValueError(f"{part!r} is not LABEL=supported, unsupported or contradicted")
        found[name] = meaning  # type: ignore[assignment]  # one of the three
    return found
