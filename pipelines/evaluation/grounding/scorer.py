"""Scores whether claims are supported by their passages: by words, without a model, a judge or a network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipelines.evaluation.grounding.calibration import (
    SUPPORTED,
    UNKNOWN,
    calibration_id,
    compute_probabilities,
    verdict,
)
from pipelines.evaluation.grounding.claims import (
    Claim,
    PassageSentence,
    has_only_addresses,
    read_claim,
    read_sentences,
)
from pipelines.evaluation.grounding.clauses import split_clauses
from pipelines.evaluation.grounding.comparison import leave_out_comparatives
from pipelines.evaluation.grounding.conflict import Conflict, find_conflict
from pipelines.evaluation.grounding.evidence import (
    Evidence,
    ShortEvidence,
    gather_evidence,
    gather_short_evidence,
    is_quoted,
    share_of_words,
)
from pipelines.evaluation.grounding.language import is_english
from services.core.wire.grounding import SentenceEvidence, Verdict

SPANS = 3
"""Most supporting spans of one claim."""
WORTH_SHOWING = 0.3
"""Least share of the claim's words that makes a sentence worth showing as support."""
READ = 20
"""Passages of which the language is told."""
PLACES = 6
"""Decimals of the evidence: what is kept is what is scored."""
_YES = re.compile(r"(?:yes|yeah|true|correct|right)\b[\s,.!]*", re.IGNORECASE)
_NO = re.compile(r"(?:no|nope|false|incorrect|wrong)\b[\s,.!]*", re.IGNORECASE)


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

    @property
    def verdict(self) -> Verdict:
        """The outcome; `not judged` in a language that the scorer is not calibrated for."""
        if self.evidence and not (self.evidence.calibrated or self.evidence.quoted):
            return "not judged"
        return verdict(self.p_supported, self.p_contradicted, least=SUPPORTED)


class GroundednessScorer:
    """Scores claims by their words, figures and phrases, clause by clause; the work is done in a thread."""

    @property
    def name(self) -> str:
        """The scorer's version and the fitted numbers' id."""
        return calibration_id()

    async def score(self, claim: str, passages: Sequence[str], *, question: str = "") -> Grounding:
        """Score one claim against its passages.

        A claim without any passage has no support: (0, 0). Of one whose passages are addresses alone nothing
        is known: (0.5, 0), which is not supported either.

        Args:
            claim: One sentence or more, or a short answer.
            passages: The texts that may support it.
            question: What a short answer answers: a claim of up to three words is read together with it.

        Returns:
            The grounding.
        """
        return (await self.score_all([read_claim(claim, question)], passages))[0]

    async def score_all(self, claims: Sequence[Claim | str], passages: Sequence[str]) -> list[Grounding]:
        """Score claims against the same passages."""
        return await asyncio.to_thread(score_claims, claims, passages)


def score_claims(claims: Sequence[Claim | str], passages: Sequence[str]) -> list[Grounding]:
    """Score claims against the same passages. Pure: what `GroundednessScorer` does in its thread."""
    sentences = read_sentences(passages)
    read = [read_claim(claim) if isinstance(claim, str) else claim for claim in claims]
    if not sentences:
        known = UNKNOWN if has_only_addresses(passages) else 0.0
        return [Grounding(known if claim.text else 0.0, 0.0, ()) for claim in read]
    english = _are_english(passages)
    return [
        _ground(claim, sentences, calibrated=english and is_english(claim.whole))
        if claim.text
        else Grounding(0.0, 0.0, ())
        for claim in read
    ]


def _are_english(passages: Sequence[str]) -> bool:
    """Whether more of the passages' text may be English than is another language's."""
    some = passages[:: 1 + len(passages) // READ]
    english = sum(len(passage) for passage in some if is_english(passage[:600]))
    return 2 * english >= sum(map(len, some))


def weigh_evidence(claim: Claim, texts: Sequence[str], *, calibrated: bool = True) -> SentenceEvidence:
    """Gather the evidence for one claim in the sentences of its passages, rounded as it is kept."""
    return _weigh(claim, texts, calibrated=calibrated)[0]


def _weigh(claim: Claim, texts: Sequence[str], *, calibrated: bool) -> tuple[SentenceEvidence, Conflict]:
    quoted = not claim.question and is_quoted(claim.text, texts)
    if claim.question and not (_YES.fullmatch(claim.text) or _NO.fullmatch(claim.text)):
        evidence = SentenceEvidence(
            kind="short",
            features=_round(gather_short_evidence(claim.question, claim.text, texts)),
            quoted=False,
            conflict=0.0,
            calibrated=calibrated,
        )
        return evidence, Conflict()
    said = claim.question or claim.text  # "yes" claims what the question asks
    conflict = find_conflict(said, texts) if calibrated and not claim.question else Conflict()
    said = leave_out_comparatives(said) if conflict.settled else said
    clauses = split_clauses(said)
    evidence = SentenceEvidence(
        kind="words",
        features=_round(gather_evidence(said, texts)),
        clauses=[_round(gather_evidence(clause, texts)) for clause in clauses] if len(clauses) > 1 else [],
        quoted=quoted,
        conflict=round(conflict.strength, PLACES),
        rule=conflict.rule,
        unsettled=conflict.unsettled or bool(claim.question and _NO.fullmatch(claim.text)),
        calibrated=calibrated,
    )
    return evidence, conflict


def _round(found: Evidence | ShortEvidence) -> dict[str, float]:
    return {name: round(float(value), PLACES) for name, value in asdict(found).items()}


def _ground(claim: Claim, sentences: Sequence[PassageSentence], *, calibrated: bool) -> Grounding:
    texts = [sentence.text for sentence in sentences]
    evidence, conflict = _weigh(claim, texts, calibrated=calibrated)
    supported, contradicted = compute_probabilities(evidence)
    shared = share_of_words(claim.whole, texts)
    shown = [int(at) for at in np.argsort(-shared, kind="stable")[:SPANS] if shared[at] >= WORTH_SHOWING]
    return Grounding(
        p_supported=supported,
        p_contradicted=contradicted,
        spans=tuple(_locate(sentences[at]) for at in shown if at != conflict.sentence),
        against=None if conflict.sentence is None else _locate(sentences[conflict.sentence]),
        evidence=evidence,
    )


def _locate(sentence: PassageSentence) -> SupportingSpan:
    span = sentence.span
    return SupportingSpan(sentence.passage, span.start, span.end, span.text)
