"""Are claims supported by their passages? Needs no judge, no GPU and no hub.

Its encoder is the embedding service, whose token vectors come as int8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from pipelines.evaluation.grounding.calibration import UNKNOWN, calibration_id, probabilities
from pipelines.evaluation.grounding.claims import Read, plain, read, unread
from pipelines.evaluation.grounding.conflict import conflict
from pipelines.evaluation.grounding.evidence import Evidence, Floats, evidence, quoted, recalls
from services.core.clients.embedding import EmbeddingClient
from services.core.wire.grounding import SentenceEvidence
from services.core.wire.passages import TokenVectors

CLOSEST = 6
"""Sentences whose tokens are compared with the claim's."""
SPANS = 3
"""Most supporting spans of one claim."""
TELLING = 0.3
"""Least of mean cosine and shared words that makes a sentence worth showing as support."""
PLACES = 6
"""Of the evidence: what is kept is what is scored."""

BATCH = 128
"""Texts in one request."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Unit vectors of some texts, shape (n, dim); their tokens' unit vectors, each (tokens, dim), or None."""

    vectors: Floats
    tokens: list[Floats] | None


class Encoder(Protocol):
    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded: ...


@dataclass(frozen=True, slots=True)
class SupportingSpan:
    """`passages[passage][start:end]`, which is `text`."""

    passage: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """`p_supported` is calibrated on people's labels, `p_contradicted` follows from rules (`conflict.py`).

    Both follow from `evidence` alone, which is None where there was nothing to compare.
    """

    p_supported: float
    p_contradicted: float
    spans: tuple[SupportingSpan, ...]
    against: SupportingSpan | None = None
    evidence: SentenceEvidence | None = None


@dataclass(frozen=True, slots=True)
class Near:
    """What vectors say of one claim: its cosine to each sentence, shape (n,), and each of its tokens' to the
    best token of the closest sentences, shape (tokens,); None without vectors."""

    cosines: Floats | None = None
    best: Floats | None = None


class GroundednessScorer:
    """With an `encoder` by words, figures, names and vectors; without one by the former three alone.

    Two requests to the encoder whatever the number of claims; the rest is computed in a thread.
    """

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._encoder = encoder

    @property
    def name(self) -> str:
        """The fitted numbers' id."""
        return calibration_id()

    async def score(self, claim: str, passages: Sequence[str]) -> Grounding:
        """A claim without any passage has no support: (0, 0). Of one whose passages are addresses alone
        nothing is known: (0.5, 0), which is not supported either."""
        return (await self.score_all([claim], passages))[0]

    async def score_all(self, claims: Sequence[str], passages: Sequence[str]) -> list[Grounding]:
        """Each claim against the same passages. Raises what the encoder raises."""
        found = await asyncio.to_thread(read, passages)
        texts = [each.text for each in found]
        asked = [plain(claim) for claim in claims]
        said = [claim for claim in asked if claim]
        if not texts or not said:
            known = 0.0 if texts or not unread(passages) else UNKNOWN
            return [Grounding(known if claim else 0.0, 0.0, ()) for claim in asked]
        near = dict(zip(said, await self.compared(said, texts), strict=True))
        return await asyncio.to_thread(
            lambda: [
                _grounding(claim, found, near[claim]) if claim in near else Grounding(0.0, 0.0, ())
                for claim in asked
            ]
        )

    async def compared(self, claims: Sequence[str], texts: Sequence[str]) -> list[Near]:
        """Claims and sentences by their vectors; empty where the scorer has no encoder."""
        if self._encoder is None:
            return [Near()] * len(claims)
        count = len(claims)
        whole = await self._encoder.encode([*claims, *texts], tokens=False)
        cosines, closest = await asyncio.to_thread(_closest, whole.vectors, claims, texts)
        chosen = sorted({at for each in closest for at in each})
        near = await self._encoder.encode([*claims, *(texts[at] for at in chosen)], tokens=True)
        if near.tokens is None:
            return [Near(each) for each in cosines]
        rows = dict(zip(chosen, near.tokens[count:], strict=True))
        return [
            Near(each, _best(mine, [rows[at] for at in at_claim]))
            for each, mine, at_claim in zip(cosines, near.tokens[:count], closest, strict=True)
        ]


def weigh(claim: str, texts: Sequence[str], near: Near) -> SentenceEvidence:
    """The evidence of one claim in the sentences of its passages, rounded as it is kept."""
    found = evidence(claim, texts, near.cosines, near.best)
    return SentenceEvidence(
        kind="lexical" if near.best is None else "full",
        features=features(found),
        quoted=quoted(claim, texts),
        conflict=round(conflict(claim, texts)[0], PLACES),
    )


def features(found: Evidence) -> dict[str, float]:
    return {name: round(float(value), PLACES) for name, value in asdict(found).items()}


def _grounding(claim: str, found: Sequence[Read], near: Near) -> Grounding:
    texts = [each.text for each in found]
    weighed = weigh(claim, texts, near)
    supported, contradicted = probabilities(weighed)
    _, which = conflict(claim, texts)
    shared = recalls(claim, texts)
    nearness = shared if near.cosines is None else (shared + near.cosines) / 2
    chosen = [int(at) for at in np.argsort(-nearness, kind="stable")[:SPANS] if nearness[at] >= TELLING]
    return Grounding(
        p_supported=supported,
        p_contradicted=contradicted,
        spans=tuple(_span(found[at]) for at in chosen if at != which),
        against=None if which is None else _span(found[which]),
        evidence=weighed,
    )


def _closest(
    vectors: Floats, claims: Sequence[str], texts: Sequence[str]
) -> tuple[list[Floats], list[list[int]]]:
    """For each claim its cosines to the sentences, and the numbers of the `CLOSEST` ones."""
    held = vectors[len(claims) :]
    cosines = [(held @ vectors[at]).astype(np.float32) for at in range(len(claims))]
    closest = [
        [int(at) for at in np.argsort(-(each + recalls(claim, texts)), kind="stable")[:CLOSEST]]
        for claim, each in zip(claims, cosines, strict=True)
    ]
    return cosines, closest


def _best(mine: Floats, theirs: Sequence[Floats]) -> Floats:
    rows = [each for each in theirs if len(each)]
    if not len(mine) or not rows:
        return np.zeros(0, np.float32)
    best: Floats = (mine @ np.concatenate(rows).T).max(axis=1).astype(np.float32)
    return best


def _span(found: Read) -> SupportingSpan:
    return SupportingSpan(found.passage, found.span.start, found.span.end, found.span.text)


class ServiceEncoder:
    """The embedding service, or a TEI server in its place, which gives no token vectors."""

    def __init__(self, client: EmbeddingClient) -> None:
        self._client = client

    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        vectors: list[list[float]] = []
        packed: list[TokenVectors] = []
        for start in range(0, len(texts), BATCH):
            reply = await self._client.encode(texts[start : start + BATCH], token_vectors=tokens)
            vectors += reply.embeddings
            packed += reply.token_vectors or []
        whole = np.array(vectors, np.float32)
        return Encoded(whole, [unit(each) for each in packed] if len(packed) == len(texts) else None)


def unit(packed: TokenVectors) -> Floats:
    """Rows of unit length, shape (tokens, dim)."""
    rows = np.frombuffer(packed.data, np.int8).reshape(packed.tokens, packed.dim).astype(np.float32)
    units: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return units
