"""Whether the answer says what the trace came to, by hand."""

from __future__ import annotations

import pytest

from pipelines.evaluation.grounding.trace import compare_with_trace

OPTIONS = ("the water", "the bricks", "the feathers", "the air")


@pytest.mark.parametrize(
    ("reasoning", "answer", "verdict", "by"),
    [
        ("3 + 4 = 7. So the answer is 7.", "The answer is 7.", "agrees", "number"),
        ("3 + 4 = 7. So the answer is 7.", "The answer is 8.", "contradicts", "number"),
        ("So it weighs 2.5 kg.", "It weighs 2,500 g, that is 2.5 kg.", "agrees", "number"),
        ("It weighs 2.5 kg.", "It weighs 3.5 kg.", "contradicts", "number"),
        ("So it weighs 3 kg.", "It weighs 3 kg. That is 1 kg more than the other.", "agrees", "number"),
        ("<think>So 1,000 kg.</think>", "1000", "agrees", "number"),
        ("Between 3 and 4, hm.", "It is 5.", "unclear", None),
        ("Ice floats on water.", "Ice does not float on water.", "contradicts", "statement"),
        ("Gold is heavier than air.", "Gold is lighter than air.", "contradicts", "statement"),
        ("Ice floats.", "ice floats", "agrees", "statement"),
        ("Ice floats.", "Bananas are grown in Ecuador.", "unclear", None),
        ("Let me look. The passages do not mention it.", "It was Ann.", "contradicts", "abstention"),
        ("So it was Ann.", "I don't know.", "contradicts", "abstention"),
        ("The passages do not say.", "I don't know.", "agrees", "abstention"),
    ],
)
def test_agreement(reasoning: str, answer: str, verdict: str, by: str | None) -> None:
    found = compare_with_trace(reasoning, answer)
    assert found is not None
    assert (found.verdict, found.by) == (verdict, by)


@pytest.mark.parametrize(
    ("reasoning", "answer", "verdict"),
    [
        ("So the answer is the air.", "(D)", "agrees"),
        ("So the answer is the bricks.", "(D) the air", "contradicts"),
        ("3 pounds are the most: (D).", "The answer is (D).", "agrees"),
    ],
)
def test_options(reasoning: str, answer: str, verdict: str) -> None:
    found = compare_with_trace(reasoning, answer, OPTIONS)
    assert found is not None
    assert (found.verdict, found.by) == (verdict, "choice")


@pytest.mark.parametrize(("reasoning", "answer"), [("", "x"), ("x", ""), ("<think></think>", "x")])
def test_without_a_trace_or_an_answer_there_is_nothing_to_compare(reasoning: str, answer: str) -> None:
    assert compare_with_trace(reasoning, answer) is None


def test_the_conclusions_are_shown() -> None:
    found = compare_with_trace("Hm. So the answer is 7.", "It is 8.")
    assert found is not None
    assert (found.trace, found.answer) == ("7.", "It is 8.")
