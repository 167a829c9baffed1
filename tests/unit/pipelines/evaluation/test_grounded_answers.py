"""Answers sentence by sentence: what is a claim, the record, and scoring it again from itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipelines.evaluation.datasets.items import Source
from pipelines.evaluation.grounding.answers import ground_again, ground_answer, rescore
from pipelines.evaluation.grounding.calibration import calibration_id, compute_probabilities, verdict
from pipelines.evaluation.grounding.claims import Claim, find_claims
from pipelines.evaluation.grounding.scorer import GroundednessScorer, Grounding
from services.core.errors import ServiceUnavailable
from services.core.wire.grounding import AnswerGroundedness, SentenceEvidence
from services.core.wire.passages import Passage

ICE = "Ice has a density of 917 kilograms per cubic metre. It floats on water."
PASSAGES = [
    Source(id="w", text="Water is densest near four degrees."),
    Passage(id="i", document_id="d", text=ICE),
]


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("Ice floats on cold water [1, 2].", ["Ice floats on cold water ."]),
        ("## **Ice** floats on `water`", ["Ice floats on water"]),
        ("1. Ice floats on water.\n2. Iron sinks in it.", ["Ice floats on water.", "Iron sinks in it."]),
        ("Answer: Ice floats on water.", ["Ice floats on water."]),
        ("Why is that?", [None]),
        ("Hello! Ice floats on water. Let me know if that helps!", [None, "Ice floats on water.", None]),
        ("It is so.", [None]),
        ("3.", ["3."]),
        ("There was no evidence of life on the island.", ["There was no evidence of life on the island."]),
        ("It is unknown.", [None]),
        ("The passages do not say.", [None]),
        ("Sea ice does not contain salt.", ["Sea ice does not contain salt."]),
        ("I don't know. Nothing is stated about Mars.", [None, None]),
        ("Okay, so the user asks about ice. Ice floats on water.", [None, "Ice floats on water."]),
        ("Let me check the passages. I need to find its weight.", [None, None]),
        ("We can see that ice floats on water.", ["We can see that ice floats on water."]),
        ("<think>Ice floats on water.</think>", ["Ice floats on water."]),
    ],
)
def test_what_is_a_claim(text: str, claimed: list[str | None]) -> None:
    assert [said.claim and said.claim.text for said in find_claims(text)] == claimed


def test_a_fragment_is_read_with_its_question() -> None:
    assert [said.claim for said in find_claims("It floats on water.", "Why?")] == [
        Claim("It floats on water.")
    ]
    [fragment] = find_claims("917 kilograms.", "How dense is ice?")
    assert fragment.claim == Claim("917 kilograms.", "How dense is ice?")
    assert fragment.claim.whole == "How dense is ice? 917 kilograms."


async def test_each_sentence_has_its_verdict_and_its_place() -> None:
    answer = (
        "Ice has a density of 917 kilograms per cubic metre [2]. "
        "Bananas are grown in Ecuador and Costa Rica. "
        "Its density is 820 kilograms per cubic metre, so ice floats. Anything else?"
    )
    found = await ground_answer(
        "How dense is ice?", PASSAGES, answer, "It floats on water.", scorer=GroundednessScorer()
    )
    assert [each.verdict for each in found.answer.sentences] == [
        "supported",
        "unsupported",
        "contradicted",
        "not a claim",
    ]
    counted = found.answer
    assert (counted.claims, counted.supported, counted.unsupported, counted.contradicted) == (3, 1, 1, 1)
    assert counted.share_supported == 0.3333
    for each in counted.sentences:
        assert answer[each.start : each.end] == each.text
    first, _, third, last = counted.sentences
    assert (first.spans[0].passage_id, first.spans[0].passage) == ("i", 1)
    assert ICE[first.spans[0].start : first.spans[0].end] == first.spans[0].text
    assert third.against is not None
    assert third.against.text == first.spans[0].text
    assert (last.p_supported, last.evidence) == (None, None)
    assert found.reasoning is not None
    assert found.reasoning.share_supported == 1.0


async def test_the_record_scores_again_to_the_same_bits() -> None:
    found = await ground_answer(
        "?", PASSAGES, "Ice floats. It weighs 820 kilograms. Why?", "Hm, ice.", scorer=GroundednessScorer()
    )
    assert rescore(found) == found
    stored = AnswerGroundedness.model_validate_json(found.model_dump_json())
    assert rescore(stored).model_dump_json() == found.model_dump_json()


async def test_scoring_again_heeds_the_evidence_and_not_the_old_figures() -> None:
    found = await ground_answer("?", PASSAGES, "Ice floats on water.", scorer=GroundednessScorer())
    [sentence] = found.answer.sentences
    stale = sentence.model_copy(update={"verdict": "contradicted", "p_supported": 0.1})
    old = found.model_copy(
        update={
            "calibration": "of another time",
            "answer": found.answer.model_copy(update={"sentences": [stale], "share_supported": 0.0}),
        }
    )
    assert rescore(old) == found
    assert found.calibration == calibration_id()


@pytest.mark.parametrize("passages", [[], [Source(id="x", text=" ")]])
async def test_without_passages_nothing_is_supported(passages: list[Source]) -> None:
    found = await ground_answer("?", passages, "Ice floats on water.", scorer=GroundednessScorer())
    assert [each.verdict for each in found.answer.sentences] == ["unsupported"]
    assert found.answer.share_supported == 0.0
    assert rescore(found) == found


@pytest.mark.parametrize("answer", ["", "I don't know.", "Hello!"])
async def test_no_claim_no_share(answer: str) -> None:
    found = await ground_answer("?", PASSAGES, answer, scorer=GroundednessScorer())
    assert (found.answer.claims, found.answer.share_supported, found.reasoning) == (0, None, None)


class Down(GroundednessScorer):
    async def score_all(self, claims: Sequence[Claim | str], passages: Sequence[str]) -> list[Grounding]:
        raise ServiceUnavailable("detector is down")


async def test_a_scorer_that_is_down_is_the_callers_to_handle() -> None:
    with pytest.raises(ServiceUnavailable, match="detector is down"):
        await ground_answer("?", PASSAGES, "Ice floats on water.", scorer=Down())


def test_probabilities_by_hand() -> None:
    blank = {"nearby": 0.0, "phrases": 0.0, "figures": 0.0, "voice": 0.0}
    full = dict.fromkeys(blank, 1.0)
    found = SentenceEvidence(kind="words", features=blank, quoted=True, conflict=0.0)
    assert compute_probabilities(found) == (0.95, 0.0)
    # a passage that says it does not contradict it
    assert compute_probabilities(found.model_copy(update={"conflict": 0.6})) == (0.95, 0.03)
    assert compute_probabilities(found.model_copy(update={"conflict": 1.0})) == (0.95, 0.05)
    assert compute_probabilities(found.model_copy(update={"quoted": False}))[0] < 0.5
    said = found.model_copy(update={"quoted": False, "features": full})
    assert compute_probabilities(said)[0] > 0.9
    assert compute_probabilities(said.model_copy(update={"conflict": 1.0})) == (0.0, 1.0)
    assert compute_probabilities(said.model_copy(update={"clauses": [full, blank]}))[0] < 0.5
    assert compute_probabilities(said.model_copy(update={"unsettled": True})) == (0.5, 0.0)
    assert compute_probabilities(said.model_copy(update={"calibrated": False})) == (0.5, 0.0)


def of_the_first_scorer(record: AnswerGroundedness) -> AnswerGroundedness:
    """The record as the scorer wrote it that had other features and vectors."""
    old = SentenceEvidence(kind="full", features={"window": 0.5, "aligned": 0.7}, quoted=False, conflict=0.0)
    sentences = [
        sentence.model_copy(update={"evidence": old, "p_supported": 0.4, "verdict": "unsupported"})
        for sentence in record.answer.sentences
    ]
    text = record.answer.model_copy(
        update={"sentences": sentences, "supported": 0, "unsupported": len(sentences)}
    )
    return record.model_copy(update={"calibration": "0123456789ab", "answer": text, "reasoning": None})


async def test_a_record_of_an_earlier_scorer_is_kept_without_its_passages_and_judged_anew_from_them() -> None:
    answer = "Ice has a density of 917 kilograms per cubic metre."
    new = await ground_answer("How dense is ice?", PASSAGES, answer, scorer=GroundednessScorer())
    old = of_the_first_scorer(new)
    kept = rescore(old)
    assert (kept.calibration, kept.answer.sentences) == ("0123456789ab", old.answer.sentences)
    assert ground_again("How dense is ice?", PASSAGES, answer, "", old) == new
    assert (
        ground_again("How dense is ice?", [], answer, "", new) == new
    )  # evidence of today needs no passages


@pytest.mark.parametrize(
    ("supported", "contradicted", "expected"),
    [
        (0.63, 0.0, "supported"),
        (0.62, 0.0, "unsupported"),
        (0.5, 0.5, "unsupported"),
        (0.1, 0.6, "contradicted"),
        (0.4, 0.4, "unsupported"),
    ],
)
def test_the_greater_one_over_its_threshold_decides(
    supported: float, contradicted: float, expected: str
) -> None:
    assert verdict(supported, contradicted) == expected
