"""How well an answer's sentences rest on its passages: a record that can be scored again from itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.core.wire.base import Wire

Verdict = Literal["supported", "unsupported", "contradicted", "not a claim"]
CalibrationKind = Literal["full", "lexical"]
EvidenceKind = Literal["full", "lexical", "detector"]


class EvidenceSpan(Wire):
    """`text` is the passage's `text[start:end]`, in characters; `passage` counts the context's from 0."""

    passage_id: str
    passage: int
    start: int
    end: int
    text: str


class SentenceEvidence(Wire):
    """What the probabilities follow from, and from nothing else.

    `features` are those of the regression by name, to six places, or the detector's two probabilities,
    `supported` and `contradicted`, each the best of all passages; `quoted`: a passage has the sentence word
    for word; `conflict` in [0, 1]: how strongly a sentence of a passage speaks against it.
    """

    kind: EvidenceKind
    features: dict[str, float]
    quoted: bool
    conflict: float


class GroundedSentence(Wire):
    """`text` is the answer's `[start:end]`. The figures are None, and no evidence is kept, where it is not a
    claim: a question, a greeting, a refusal, a plan.

    `spans` come closest to it, the best first; `against` is what contradicts it.
    """

    start: int
    end: int
    text: str
    verdict: Verdict
    p_supported: float | None = None
    p_contradicted: float | None = None
    spans: list[EvidenceSpan] = Field(default_factory=list)
    against: EvidenceSpan | None = None
    evidence: SentenceEvidence | None = None


class GroundedText(Wire):
    """`claims` = `supported` + `unsupported` + `contradicted`; `share_supported` is None without claims."""

    sentences: list[GroundedSentence]
    claims: int
    supported: int
    unsupported: int
    contradicted: int
    share_supported: float | None = None


class TraceVerdict(Wire):
    """Whether the answer says what the reasoning came to, by which comparison, and the two conclusions."""

    verdict: Literal["agrees", "contradicts", "unclear"]
    by: Literal["choice", "abstention", "number", "statement"] | None = None
    trace: str
    answer: str


class AnswerGroundedness(Wire):
    """`calibration` names the fitted numbers that the probabilities come from, or is `detector`;
    `reasoning` and `trace` are None where there was no reasoning, or where it was not asked for."""

    calibration: str
    answer: GroundedText
    reasoning: GroundedText | None = None
    trace: TraceVerdict | None = None
