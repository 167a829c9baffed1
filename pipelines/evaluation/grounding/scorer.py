"""Scores whether claims are supported by their passages, without a judge, a GPU or a model hub.

Its encoder is the embedding service, whose token vectors come as int8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from pipelines.evaluation.grounding.calibration import UNKNOWN, calibration_id, compute_probabilities
from pipelines.evaluation.grounding.claims import (
    PassageSentence,
    has_only_addresses,
    read_sentences,
    strip_marks,
)
from pipelines.evaluation.grounding.conflict import find_conflict
from pipelines.evaluation.grounding.evidence import Floats, gather_evidence, is_quoted, share_of_words
from services.core.clients.embedding import EmbeddingClient
from services.core.wire.grounding import SentenceEvidence
from services.core.wire.passages import TokenVectors

CLOSEST = 6
"""Sentences whose tokens are compared with the claim's."""
SPANS = 3
"""Most supporting spans of one claim."""
WORTH_SHOWING = 0.3
"""Least of mean cosine and shared words that makes a sentence worth showing as support."""
PLACES = 6
"""Decimals of the evidence: what is kept is what is scored."""

ENCODE_BATCH = 128
"""Texts in one request."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Unit vectors of some texts, shape (n, dim); their tokens' unit vectors, each (tokens, dim), or None."""

    vectors: Floats
    tokens: list[Floats] | None


class Encoder(Protocol):
    """Turns texts into vectors: `ServiceEncoder`, or the embedding model in this process."""

    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        """Encode texts.

        Args:
            texts: In any number; an implementation makes its own batches.
            tokens: Whether the vectors of the tokens are wanted too.

        Returns:
            A vector for each text, in order; token vectors where they are wanted and can be had.

        Raises:
            RaglineError: The embedding service does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class SupportingSpan:
    """A part of a passage: `passages[passage][start:end]`, which is `text`."""

    passage: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """How well a claim is supported by its passages.

    `p_supported` is calibrated on people's labels, `p_contradicted` follows from rules (`conflict.py`). Both
    follow from `evidence` alone, which is None where there was nothing to compare.
    """

    p_supported: float
    p_contradicted: float
    spans: tuple[SupportingSpan, ...]
    against: SupportingSpan | None = None
    evidence: SentenceEvidence | None = None


@dataclass(frozen=True, slots=True)
class Similarity:
    """What vectors say of one claim; None without vectors.

    `cosines` are those of the claim to each sentence, shape (n,); `best` are those of each token of the claim
    to the best token of the closest sentences, shape (tokens,).
    """

    cosines: Floats | None = None
    best: Floats | None = None


class GroundednessScorer:
    """Scores claims by words, figures, names and, with an `encoder`, by vectors.

    Two requests to the encoder whatever the number of claims; the rest is computed in a thread.
    """

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._encoder = encoder

    @property
    def name(self) -> str:
        """The fitted numbers' id."""
        return calibration_id()

    async def score(self, claim: str, passages: Sequence[str]) -> Grounding:
        """Score one claim against its passages.

        A claim without any passage has no support: (0, 0). Of one whose passages are addresses alone nothing
        is known: (0.5, 0), which is not supported either.
        """
        return (await self.score_all([claim], passages))[0]

    async def score_all(self, claims: Sequence[str], passages: Sequence[str]) -> list[Grounding]:
        """Score claims against the same passages. Raises what the encoder raises."""
        sentences = await asyncio.to_thread(read_sentences, passages)
        texts = [sentence.text for sentence in sentences]
        stripped = [strip_marks(claim) for claim in claims]
        wanted = [claim for claim in stripped if claim]
        if not texts or not wanted:
            known = 0.0 if texts or not has_only_addresses(passages) else UNKNOWN
            return [Grounding(known if claim else 0.0, 0.0, ()) for claim in stripped]
        similarities = dict(zip(wanted, await self.compare(wanted, texts), strict=True))
        return await asyncio.to_thread(
            lambda: [
                _ground(claim, sentences, similarities[claim])
                if claim in similarities
                else Grounding(0.0, 0.0, ())
                for claim in stripped
            ]
        )

    async def compare(self, claims: Sequence[str], texts: Sequence[str]) -> list[Similarity]:
        """Compare claims and sentences by their vectors; empty ones where the scorer has no encoder."""
        if self._encoder is None:
            return [Similarity()] * len(claims)
        count = len(claims)
        whole = await self._encoder.encode([*claims, *texts], tokens=False)
        cosines, closest = await asyncio.to_thread(_find_closest, whole.vectors, claims, texts)
        chosen = sorted({at for numbers in closest for at in numbers})
        encoded = await self._encoder.encode([*claims, *(texts[at] for at in chosen)], tokens=True)
        if encoded.tokens is None:
            return [Similarity(of_claim) for of_claim in cosines]
        rows = dict(zip(chosen, encoded.tokens[count:], strict=True))
        return [
            Similarity(of_claim, _best_cosines(tokens, [rows[at] for at in numbers]))
            for of_claim, tokens, numbers in zip(cosines, encoded.tokens[:count], closest, strict=True)
        ]


def weigh_evidence(claim: str, texts: Sequence[str], similarity: Similarity) -> SentenceEvidence:
    """Gather the evidence for one claim in the sentences of its passages, rounded as it is kept."""
    found = gather_evidence(claim, texts, similarity.cosines, similarity.best)
    return SentenceEvidence(
        kind="lexical" if similarity.best is None else "full",
        features={name: round(float(value), PLACES) for name, value in asdict(found).items()},
        quoted=is_quoted(claim, texts),
        conflict=round(find_conflict(claim, texts)[0], PLACES),
    )


def _ground(claim: str, sentences: Sequence[PassageSentence], similarity: Similarity) -> Grounding:
    texts = [sentence.text for sentence in sentences]
    evidence = weigh_evidence(claim, texts, similarity)
    supported, contradicted = compute_probabilities(evidence)
    _, contradicting = find_conflict(claim, texts)
    shared = share_of_words(claim, texts)
    nearness = shared if similarity.cosines is None else (shared + similarity.cosines) / 2
    shown = [int(at) for at in np.argsort(-nearness, kind="stable")[:SPANS] if nearness[at] >= WORTH_SHOWING]
    return Grounding(
        p_supported=supported,
        p_contradicted=contradicted,
        spans=tuple(_locate(sentences[at]) for at in shown if at != contradicting),
        against=None if contradicting is None else _locate(sentences[contradicting]),
        evidence=evidence,
    )


def _find_closest(
    vectors: Floats, claims: Sequence[str], texts: Sequence[str]
) -> tuple[list[Floats], list[list[int]]]:
    """Find for each claim its cosines to the sentences, and the numbers of the `CLOSEST` ones."""
    held = vectors[len(claims) :]
    cosines = [(held @ vectors[at]).astype(np.float32) for at in range(len(claims))]
    closest = [
        [int(at) for at in np.argsort(-(of_claim + share_of_words(claim, texts)), kind="stable")[:CLOSEST]]
        for claim, of_claim in zip(claims, cosines, strict=True)
    ]
    return cosines, closest


def _best_cosines(tokens: Floats, sentences: Sequence[Floats]) -> Floats:
    """Compute the cosine of each token of a claim to the best token of some sentences."""
    rows = [sentence for sentence in sentences if len(sentence)]
    if not len(tokens) or not rows:
        return np.zeros(0, np.float32)
    best: Floats = (tokens @ np.concatenate(rows).T).max(axis=1).astype(np.float32)
    return best


def _locate(sentence: PassageSentence) -> SupportingSpan:
    span = sentence.span
    return SupportingSpan(sentence.passage, span.start, span.end, span.text)


class ServiceEncoder:
    """Encodes with the embedding service, or with a TEI server in its place, which gives no token vectors."""

    def __init__(self, client: EmbeddingClient) -> None:
        self._client = client

    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        vectors: list[list[float]] = []
        packed: list[TokenVectors] = []
        for start in range(0, len(texts), ENCODE_BATCH):
            reply = await self._client.encode(texts[start : start + ENCODE_BATCH], token_vectors=tokens)
            vectors += reply.embeddings
            packed += reply.token_vectors or []
        complete = len(packed) == len(texts)
        return Encoded(
            np.array(vectors, np.float32), [unpack_tokens(rows) for rows in packed] if complete else None
        )


def unpack_tokens(packed: TokenVectors) -> Floats:
    """Unpack token vectors to rows of unit length, shape (tokens, dim)."""
    rows = np.frombuffer(packed.data, np.int8).reshape(packed.tokens, packed.dim).astype(np.float32)
    units: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return units
