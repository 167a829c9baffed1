"""A detector on text-embeddings-inference's `/predict`: a real server on loopback speaks its wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.types import ASGIApp

from pipelines.evaluation.datasets.items import Source
from pipelines.evaluation.grounding.answers import ground_answer, rescore
from pipelines.evaluation.grounding.detector import DetectorScorer, parse_labels
from services.core.client import HttpClient
from services.core.clients.reranking import DetectionClient
from services.core.errors import (
    InvalidRequest,
    PayloadTooLarge,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.gateway.settings import Settings

Serve = Callable[[ASGIApp], str]
Classes = list[dict[str, Any]]
PASSAGES = [
    Source(id="ice", text="Ice has a density of 917 kilograms per cubic metre. It floats on water."),
    Source(id="zoo", text="The zoo in Berlin opened in 1844."),
]
NLI = ("entailment", "neutral", "contradiction")
HHEM = ("consistent", "hallucinated")


class PredictRequest(BaseModel):
    """TEI's; an unknown field would be a mistake of ours."""

    model_config = ConfigDict(extra="forbid")

    inputs: list[tuple[str, str]]
    raw_scores: bool = False
    truncate: bool = False


@dataclass
class Detector:
    """Entails what stands in the premise, contradicts what says 820, and knows nothing of the rest."""

    labels: Sequence[str] = NLI
    most: int = 32
    fault: JSONResponse | None = None
    batches: list[int] = field(default_factory=list)

    @property
    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/predict")
        async def predict(request: PredictRequest) -> JSONResponse:
            if self.fault is not None:
                return self.fault
            if len(request.inputs) > self.most:
                body = {
                    "error": f"batch size {len(request.inputs)} > maximum {self.most}",
                    "error_type": "Validation",
                }
                return JSONResponse(body, 413)
            assert request.truncate
            assert not request.raw_scores
            self.batches.append(len(request.inputs))
            return JSONResponse([self._classes(*pair) for pair in request.inputs])

        return app

    def _classes(self, premise: str, claim: str) -> Classes:
        at = 0 if claim in premise else len(self.labels) - 1 if "820" in claim and "917" in premise else 1
        scores = [0.02] * len(self.labels)
        scores[at] = 1 - 0.02 * (len(self.labels) - 1)
        found = [{"score": score, "label": label} for score, label in zip(scores, self.labels, strict=True)]
        return sorted(found, key=lambda each: -each["score"])


@pytest.fixture
async def asked(serve: Serve) -> AsyncIterator[Callable[[Detector], HttpClient]]:
    clients: list[HttpClient] = []

    def connect(detector: Detector) -> HttpClient:
        clients.append(HttpClient("detector", serve(detector.app)))
        return clients[-1]

    yield connect
    for client in clients:
        await client.aclose()


ANSWER = "It floats on water. Ice has a density of 820 kilograms. Bananas grow in Ecuador. Shall I go on?"


@pytest.mark.parametrize(
    ("labels", "mapping", "verdicts"),
    [
        (NLI, "", ["supported", "contradicted", "unsupported", "not a claim"]),
        (
            ("ENTAILMENT", "NEUTRAL", "CONTRADICTION"),
            "",
            ["supported", "contradicted", "unsupported", "not a claim"],
        ),
        (HHEM, "", ["supported", "unsupported", "unsupported", "not a claim"]),
        (
            ("LABEL_2", "LABEL_1", "LABEL_0"),
            "LABEL_0=contradicted, LABEL_1=unsupported, LABEL_2=supported",
            ["supported", "contradicted", "unsupported", "not a claim"],
        ),
    ],
)
async def test_labels_become_verdicts(
    asked: Callable[[Detector], HttpClient], labels: Sequence[str], mapping: str, verdicts: list[str]
) -> None:
    detector = Detector(labels)
    scorer = DetectorScorer(DetectionClient(asked(detector)), parse_labels(mapping))
    found = await ground_answer("?", PASSAGES, ANSWER, scorer=scorer)
    assert [each.verdict for each in found.answer.sentences] == verdicts
    first = found.answer.sentences[0]
    assert first.p_supported == pytest.approx(0.98 if labels == HHEM else 0.96)
    assert first.spans[0].text == "It floats on water."
    assert found.calibration == "detector"
    assert rescore(found) == found
    assert detector.batches == [6]  # three claims, two passages


async def test_a_single_label_is_read_both_ways(asked: Callable[[Detector], HttpClient]) -> None:
    class One(Detector):
        def _classes(self, premise: str, claim: str) -> Classes:
            return [{"score": 0.9, "label": self.labels[0]}]

    for label, expected in (("consistent", 0.9), ("hallucinated", 0.1)):
        scorer = DetectorScorer(DetectionClient(asked(One([label]))))
        [found] = await scorer.score_all(["Ice floats."], ["Ice floats."])
        assert found.p_supported == pytest.approx(expected)


async def test_pairs_go_out_in_batches_that_the_server_takes(asked: Callable[[Detector], HttpClient]) -> None:
    detector = Detector()
    client = DetectionClient(asked(detector))
    found = await client.predict([("a b c", "b")] * 70)
    assert (len(found), detector.batches) == (70, [32, 32, 6])
    with pytest.raises(PayloadTooLarge, match="batch size 40"):
        await DetectionClient(asked(Detector()), batch=40).predict([("a", "a")] * 40)


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (
            424,
            {"error": "model is not a classifier model", "error_type": "Backend"},
            ServiceError,
            "not a classifier",
        ),
        (429, {"error": "Model is overloaded", "error_type": "Overloaded"}, RateLimited, "overloaded"),
        (200, [[{"score": 1.0, "label": "entailment"}]], ServiceError, "classified 1 of 2"),
        (200, {"score": 1.0}, ServiceError, "detector"),
        (200, [[], []], ServiceError, "detector"),
    ],
)
async def test_a_server_that_fails_is_named(
    asked: Callable[[Detector], HttpClient], status: int, body: Any, error: type[RaglineError], says: str
) -> None:
    client = asked(Detector(fault=JSONResponse(body, status)))
    with pytest.raises(error, match=says) as caught:
        await DetectorScorer(DetectionClient(client)).score_all(["Ice floats."], ["One.", "Two."])
    assert "detector" in f"{caught.value.service} {caught.value.message}"


async def test_one_that_is_down_is_named() -> None:
    async with HttpClient("detector", "http://127.0.0.1:9") as client:
        with pytest.raises(ServiceUnavailable, match="detector is down"):
            await DetectionClient(client).predict([("a", "b")])


async def test_a_label_that_nobody_knows_says_what_to_set(asked: Callable[[Detector], HttpClient]) -> None:
    scorer = DetectorScorer(DetectionClient(asked(Detector(("LABEL_0", "LABEL_1")))))
    with pytest.raises(InvalidRequest, match=r"LABEL_[01], LABEL_[01].*GROUNDING_DETECTOR_LABELS"):
        await scorer.score_all(["Ice floats."], ["Ice floats."])


@pytest.mark.parametrize("text", ["LABEL_0", "LABEL_0=true", "=supported"])
def test_a_mapping_that_is_none_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="is not LABEL=supported"):
        Settings(grounding_detector_labels=text)  # type: ignore[call-arg]
