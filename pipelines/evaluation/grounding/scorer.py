"""Is a claim supported by its passages? Needs no judge, no GPU and no hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipelines.evaluation.grounding.calibration import calibration
from pipelines.evaluation.grounding.conflict import conflict
from pipelines.evaluation.grounding.evidence import Floats, evidence, recalls
from pipelines.sentences import Span, sentences

CLOSEST = 6
"""Sentences whose tokens are compared with the claim's."""
SPANS = 3
"""Most supporting spans of one claim."""
TELLING = 0.3
"""Least of mean cosine and shared words that makes a sentence worth showing as support."""


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
    """`p_supported` is calibrated on people's labels, `p_contradicted` follows from rules (`conflict.py`)."""

    p_supported: float
    p_contradicted: float
    spans: tuple[SupportingSpan, ...]
    against: SupportingSpan | None = None


class GroundednessScorer:
    """With an `encoder` by words, figures, names and vectors; without one by the former three alone."""

    def __init__(self, encoder: Encoder | None = None) -> None:
        self._encoder = encoder
        self._full, self._lexical = calibration("full"), calibration("lexical")

    async def score(self, claim: str, passages: Sequence[str]) -> Grounding:
        """A claim without any passage has no support: (0, 0)."""
        found = [(number, span) for number, text in enumerate(passages) for span in sentences(text)]
        texts = [span.text for _, span in found]
        if not texts or not claim.strip():
            return Grounding(0.0, 0.0, ())
        shared = recalls(claim, texts)
        cosines, best = await self._compared(claim, texts, shared)
        weighed = self._lexical if best is None else self._full
        supported = weighed.probability(evidence(claim, texts, cosines, best))
        against, which = conflict(claim, texts)
        nearness = shared if cosines is None else (shared + cosines) / 2
        chosen = [int(at) for at in np.argsort(-nearness)[:SPANS] if nearness[at] >= TELLING]
        return Grounding(
            p_supported=supported * (1 - against),
            p_contradicted=against * (1 - supported * (1 - against)),
            spans=tuple(_span(*found[at]) for at in chosen if at != which),
            against=None if which is None else _span(*found[which]),
        )

    async def _compared(
        self, claim: str, texts: Sequence[str], shared: Floats
    ) -> tuple[Floats | None, Floats | None]:
        """Cosines to each sentence, and of each token of the claim to its best one; None without vectors."""
        if self._encoder is None:
            return None, None
        whole = await self._encoder.encode([claim, *texts], tokens=False)
        cosines = (whole.vectors[1:] @ whole.vectors[0]).astype(np.float32)
        closest = [texts[int(at)] for at in np.argsort(-(cosines + shared))[:CLOSEST]]
        near = await self._encoder.encode([claim, *closest], tokens=True)
        if near.tokens is None:
            return cosines, None
        mine, theirs = near.tokens[0], [each for each in near.tokens[1:] if len(each)]
        if not len(mine) or not theirs:
            return cosines, np.zeros(0, np.float32)
        return cosines, (mine @ np.concatenate(theirs).T).max(axis=1).astype(np.float32)


def _span(passage: int, span: Span) -> SupportingSpan:
    return SupportingSpan(passage, span.start, span.end, span.text)
