"""How well an answer's sentences rest on its passages: a record that can be scored again from itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.core.wire.base import Wire

Verdict = Literal["supported", "unsupported", "contradicted", "not judged", "not a claim"]
EvidenceKind = Literal["words", "short", "detector", "full", "lexical"]
Rule = Literal["figure", "negation", "opposite", "comparison", "order"]


class EvidenceSpan(Wire):
    """`text` is the passage's `text[start:end]`, in characters; `passage` counts the context's from 0."""

    passage_id: str
    passage: int
    start: int
    end: int
    text: str


class SentenceEvidence(Wire):
    """What the probabilities follow from, and from nothing else.

    `kind`: a sentence judged by its `words`, a `short` answer with its question, or a `detector`'s judgement;
    `full` and `lexical` are of an earlier scorer, and are kept as they were recorded. `features` are those of
    the regression by name, to six places, or the detector's two probabilities, `supported` and
    `contradicted`, each the best of all passages; `clauses` are those of each clause of a sentence that has
    several. `quoted`: a passage has the sentence word for word; `conflict` in [0, 1]: how strongly a sentence
    of a passage speaks against it, by which `rule`; `unsettled`: it compares two things, and no passage tells
    which is greater, or it denies what none denies; `calibrated`: it and the passages are in a language that
    the scorer is fitted for.
    """

    kind: EvidenceKind
    features: dict[str, float]
    clauses: list[dict[str, float]] = Field(default_factory=list)
    quoted: bool
    conflict: float
    rule: Rule | None = None
    unsettled: bool = False
    calibrated: bool = True


class GroundedSentence(Wire):
    """`text` is the answer's `[start:end]`. The figures are None, and no evidence is kept, where it is not a
    claim: a question, a greeting, a refusal, a plan.

    `not judged`: it is in a language, or read from passages in one, that the scorer is not calibrated for.
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
    """`claims` = `supported` + `unsupported` + `contradicted`; `share_supported` is None without claims.

    `not_judged` claims are beside them, in no share.
    """

    sentences: list[GroundedSentence]
    claims: int
    supported: int
    unsupported: int
    contradicted: int
    not_judged: int = 0
    share_supported: float | None = None


class TraceVerdict(Wire):
    """Whether the answer says what the reasoning came to, by which comparison, and the two conclusions."""

    verdict: Literal["agrees", "contradicts", "unclear"]
    by: Literal["choice", "abstention", "number", "statement"] | None = None
    trace: str
    answer: str


class AnswerGroundedness(Wire):
    """`calibration` names the scorer's version and its fitted numbers ("2-1f0c9a..."), or is `detector`;
    `reasoning` and `trace` are None where there was no reasoning, or where it was not asked for."""

    calibration: str
    answer: GroundedText
    reasoning: GroundedText | None = None
    trace: TraceVerdict | None = None
