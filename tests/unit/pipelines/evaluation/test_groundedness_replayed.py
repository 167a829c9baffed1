"""Bundles of an earlier scorer, and of other languages, replayed: what is judged anew, and that it is said."""

from __future__ import annotations

import pytest

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.grounding.answers import ground_answer
from pipelines.evaluation.grounding.calibration import calibration_id
from pipelines.evaluation.grounding.scorer import GroundednessScorer
from pipelines.evaluation.results import Results
from services.core.wire.grounding import AnswerGroundedness, SentenceEvidence
from services.core.wire.passages import Passage
from tests.unit.pipelines.evaluation.runs import Said, context, question, run

TEXT = "Ice floats on water. Ice is cold."
ANSWER = "Ice floats on water. Tigers bark loudly at night."


async def record(answer: str, text: str) -> AnswerGroundedness:
    passages = [Passage(id="p1", document_id="d", text=text)]
    return await ground_answer("q", passages, answer, scorer=GroundednessScorer())


def earlier(new: AnswerGroundedness) -> AnswerGroundedness:
    """The record as the first scorer may have written it: with its features, and all called unsupported."""
    old = SentenceEvidence(kind="lexical", features={"window": 0.5}, quoted=False, conflict=0.0)
    sentences = [
        one.model_copy(update={"evidence": old, "verdict": "unsupported"}) for one in new.answer.sentences
    ]
    answer = new.answer.model_copy(
        update={"sentences": sentences, "supported": 0, "unsupported": len(sentences)}
    )
    return new.model_copy(update={"calibration": "0123456789ab", "answer": answer})


def replay(said: str, groundedness: AnswerGroundedness, text: str) -> Results:
    asked = [question("a", kind="exact", answers=("ice",))]
    answers = {"small": [Said(said, groundedness=groundedness)], "large": [Said("I don't know.")]}
    return compute_results(run(asked, answers, [context(asked[0], text)]))


def supported(found: Results) -> float | None:
    [shares] = [one for one in found.metrics if one.metric == "supported" and one.scope == "overall"]
    return shares.rates[0].value


async def test_an_earlier_record_is_judged_anew_from_its_passages_and_the_results_say_so() -> None:
    found = replay(ANSWER, earlier(await record(ANSWER, TEXT)), TEXT)
    assert supported(found) == 0.5
    assert (
        "the groundedness of 1 answers of small was recorded by the earlier scorer 0123456789ab: it is judged anew "
        f"from their passages, by {calibration_id()}"
    ) in found.warnings


async def test_a_record_of_today_is_no_reason_to_warn() -> None:
    found = replay(ANSWER, await record(ANSWER, TEXT), TEXT)
    assert supported(found) == 0.5
    assert not [warning for warning in found.warnings if "scorer" in warning or "language" in warning]


@pytest.mark.parametrize("written_by", ["today", "earlier"])
async def test_claims_of_another_language_are_counted_apart(written_by: str) -> None:
    text = "Das Eis schwimmt auf dem Wasser, weil es leichter ist."
    said = "Das Eis schwimmt auf dem Wasser. Das Wasser ist nicht so leicht wie das Eis."
    new = await record(said, text)
    found = replay(said, new if written_by == "today" else earlier(new), text)
    assert supported(found) == 1.0  # the quotation
    warning = "1 claims of small are in a language that groundedness is not calibrated for: not judged"
    assert warning in found.warnings
