"""How the answers of a comparison rest on their passages, by vectors or by a detector."""

from __future__ import annotations

import asyncio

from pipelines.evaluation.grounding.answers import Scorer, ground_answer
from pipelines.evaluation.grounding.detector import DetectorScorer, parse_labels
from pipelines.evaluation.grounding.scorer import GroundednessScorer, ServiceEncoder
from services.core.client import HttpClient
from services.core.clients.detection import DetectionClient
from services.core.clients.embedding import EmbeddingClient
from services.core.errors import RaglineError
from services.core.wire.answer import FrozenContext
from services.core.wire.compare import ArmGroundedness, ArmReply, GroundingScope


class Grounder:
    """Waits `seconds` at most for one answer; what it computes itself runs in a thread."""

    def __init__(self, scorer: Scorer, seconds: float) -> None:
        self._scorer = scorer
        self._seconds = seconds

    async def ground(
        self, question: str, context: FrozenContext, reply: ArmReply, scope: GroundingScope
    ) -> ArmGroundedness | None:
        """What the arm said, judged; the reason where that failed, None where there is nothing to judge."""
        if scope == "off" or reply.status == "failed":
            return None
        reasoning = reply.reasoning_content or "" if scope == "all" else ""
        try:
            async with asyncio.timeout(self._seconds):
                found = await ground_answer(
                    question, context.passages, reply.content, reasoning, scorer=self._scorer
                )
        except RaglineError as error:
            return ArmGroundedness(arm=reply.arm, missing=error.message)
        except TimeoutError:
            return ArmGroundedness(
                arm=reply.arm,
                missing=f"grounding took longer than {self._seconds:g} s (GROUNDING_SECONDS)",
            )
        return ArmGroundedness(arm=reply.arm, groundedness=found)


def scorer_by_vectors(embedding: EmbeddingClient) -> Scorer:
    return GroundednessScorer(ServiceEncoder(embedding))


def scorer_by_detector(http: HttpClient, labels: str) -> Scorer:
    return DetectorScorer(DetectionClient(http), parse_labels(labels))
