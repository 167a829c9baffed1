"""Answers sentence by sentence: what is a claim, the record, and scoring it again from itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipelines.evaluation.datasets.items import Source
from pipelines.evaluation.grounding.answers import ground_answer, rescore
from pipelines.evaluation.grounding.calibration import calibration_id, compute_probabilities, verdict
from pipelines.evaluation.grounding.claims import find_claims
from pipelines.evaluation.grounding.scorer import Encoded, GroundednessScorer
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
    assert [said.claim for said in find_claims(text)] == claimed


def test_a_fragment_is_read_with_its_question() -> None:
    assert [said.claim for said in find_claims("It floats on water.", "Why?")] == ["It floats on water."]
    assert [said.claim for said in find_claims("917 kilograms.", "How dense is ice?")] == [
        "How dense is ice? 917 kilograms."
    ]


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


class Down:
    async def encode(self, texts: Sequence[str], *, tokens: bool) -> Encoded:
        raise ServiceUnavailable("embedding is down")


async def test_an_encoder_that_is_down_is_the_callers_to_handle() -> None:
    with pytest.raises(ServiceUnavailable, match="embedding is down"):
        await ground_answer("?", PASSAGES, "Ice floats on water.", scorer=GroundednessScorer(Down()))
    await ground_answer("?", PASSAGES, "I don't know.", scorer=GroundednessScorer(Down()))


def test_probabilities_by_hand() -> None:
    blank = dict.fromkeys(("window", "cover", "figures_and_names", "figures_missing", "names_missing"), 0.0)
    blank |= dict.fromkeys(("rarity_missing", "trigrams", "words", "sentences"), 0.0)
    found = SentenceEvidence(kind="lexical", features=blank, quoted=True, conflict=0.0)
    assert compute_probabilities(found) == (0.95, 0.0)
    assert compute_probabilities(found.model_copy(update={"conflict": 0.6})) == (0.38, 0.372)
    assert compute_probabilities(found.model_copy(update={"conflict": 1.0})) == (0.0, 1.0)
    assert compute_probabilities(found.model_copy(update={"quoted": False}))[0] < 0.5


@pytest.mark.parametrize(
    ("supported", "contradicted", "expected"),
    [
        (0.51, 0.0, "supported"),
        (0.5, 0.5, "unsupported"),
        (0.1, 0.6, "contradicted"),
        (0.4, 0.4, "unsupported"),
    ],
)
def test_the_greater_one_over_a_half_decides(supported: float, contradicted: float, expected: str) -> None:
    assert verdict(supported, contradicted) == expected
