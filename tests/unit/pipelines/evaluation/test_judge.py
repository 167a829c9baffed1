"""A judge: what it is shown, how strictly it is read, whom it may not judge."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from pipelines.evaluation.datasets.items import Source
from pipelines.evaluation.grounding.answers import ground_answer
from pipelines.evaluation.grounding.scorer import GroundednessScorer
from pipelines.evaluation.judge import (
    Judge,
    Pair,
    better_grounded,
    judge_quality,
    label_agreement,
    open_judge,
    read_verdict,
)
from pipelines.evaluation.statistics.agreement import CountedShare
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.errors import InvalidRequest, ServiceError
from services.core.wire.chat import ChatMessage, ModelInfo, ModelList
from services.core.wire.sampling import Sampling

PASSAGES = [Source(id="ice", text="Ice floats on water.")]
ENTRIES = [
    ModelInfo(id="small", model_id="qwen-small", default=True, aliases=["s"]),
    ModelInfo(id="large", model_id="qwen-large"),
    ModelInfo(id="large-too", model_id="qwen-large"),
    ModelInfo(id="judge", model_id="other"),
]


class Generation(GenerationClient):
    """Replies by a rule over the prompt; `asked` are the prompts."""

    def __init__(
        self, rule: Callable[[str], str] = lambda _: "Verdict: A", degraded: tuple[str, ...] = ()
    ) -> None:
        self.rule, self.degraded = rule, degraded
        self.asked: list[str] = []

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str = "", sampling: Sampling | None = None
    ) -> AsyncGenerator[ChatDelta]:
        self.asked.append(messages[-1].text)
        yield ChatDelta(model="large", reasoning="Verdict: B, or not.", degraded=self.degraded)
        yield ChatDelta(model="large", content=self.rule(messages[-1].text))

    async def models(self) -> ModelList:
        return ModelList(data=ENTRIES)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Verdict: A", "A"),
        ("verdict: **b**", "B"),
        ("Verdict: tie.", "tie"),
        ("  B.\n", "B"),
        ("Answer A", "A"),
        ("A says less.\nVerdict: B", "B"),
        ("<think>Verdict: A</think>\nVerdict: B", "B"),
        ("Verdict: A\nVerdict: A", "A"),
        ("Verdict: A\nVerdict: B", None),
        ("Verdict: Apples", None),
        ("A is better than B.", None),
        ("Both are fine", None),
        ("<think>Verdict: A", None),
        ("", None),
    ],
)
def test_a_reply_is_read_or_it_is_none(reply: str, verdict: str | None) -> None:
    assert read_verdict(reply) == verdict


async def test_both_orders_are_asked_and_arms_are_not_named() -> None:
    generation = Generation()
    pair = await Judge(generation, "judge").judge(
        "Why?", PASSAGES, ("x-arm", "first"), ("y-arm", "<think>z</think>second")
    )
    forward, backward = generation.asked
    assert forward.index("first") < forward.index("second")
    assert backward.index("second") < backward.index("first")
    assert "Ice floats on water." in forward
    for shown in generation.asked:
        assert "arm" not in shown
        assert "z" not in shown
    assert pair.winners == ("one", "other")  # it always takes A
    assert pair.winner == "tie"


async def test_a_judge_that_knows_wins_in_both_orders() -> None:
    knows = Generation(
        lambda shown: f"Verdict: {'A' if shown.index('right') < shown.index('wrong') else 'B'}"
    )
    pair = await Judge(knows, "judge").judge("?", PASSAGES, ("a", "wrong"), ("b", "right"))
    assert pair.winner == "other"
    assert Pair.model_validate_json(pair.model_dump_json()).winner == "other"


async def test_another_entry_s_reply_is_no_verdict_of_the_judge() -> None:
    with pytest.raises(ServiceError, match="judge could not answer, large did"):
        await Judge(Generation(degraded=("generation:judge",)), "judge").judge(
            "?", [], ("a", "x"), ("b", "y")
        )


@pytest.mark.parametrize("judge", ["small", "s", "large", "large-too", ""])
async def test_an_arm_is_no_judge_unless_told(judge: str) -> None:
    generation = Generation()
    with pytest.raises(InvalidRequest, match="is the model of the arm"):
        await open_judge(generation, judge, ["", "large"])
    assert (await open_judge(generation, judge, ["", "large"], may_be_arm=True)).name
    assert generation.asked == []


async def test_a_judge_is_an_entry() -> None:
    with pytest.raises(InvalidRequest, match="choose one of small, large, large-too, judge"):
        await open_judge(Generation(), "nobody", ["small"])
    assert (await open_judge(Generation(), "judge", ["small", "large", "unknown-arm"])).name == "judge"


def pair(forward: str, backward: str) -> Pair:
    return Pair(judge="j", one="a", other="b", forward=forward, backward=backward)


def test_quality_by_hand() -> None:
    found = judge_quality(
        [
            pair("Verdict: A", "Verdict: B"),  # one, one
            pair("Verdict: A", "Verdict: A"),  # one, other: a flip
            pair("Verdict: B", "Verdict: A"),  # other, other
            pair("Verdict: tie", "hm"),  # no verdict in one order
        ]
    )
    assert (found.pairs, found.unparsable, found.flips) == (4, CountedShare(1, 8), CountedShare(1, 3))
    assert found.between_orders == CountedShare(2, 3)
    assert found.kappa == pytest.approx(0.4)  # p_o 2/3, p_e (2 * 1 + 1 * 2) / 9
    assert found.first_shown == CountedShare(4, 6)
    assert found.wins == {"one": 1, "other": 1, "tie": 1}


def test_agreement_with_given_labels() -> None:
    pairs = [pair("Verdict: A", "Verdict: B"), pair("Verdict: B", "Verdict: A"), pair("", "")]
    assert label_agreement(pairs, ["one", "one", "one"]) == (CountedShare(1, 2), 0.0)
    assert label_agreement(pairs, ["one", None, "one"])[0] == CountedShare(1, 1)


async def test_the_scorer_gives_labels_too() -> None:
    scorer = GroundednessScorer()
    good = await ground_answer("?", PASSAGES, "Ice floats on water.", scorer=scorer)
    bad = await ground_answer("?", PASSAGES, "Bananas are grown in Ecuador.", scorer=scorer)
    silent = await ground_answer("?", PASSAGES, "I don't know.", scorer=scorer)
    assert [better_grounded(*each) for each in ((good, bad), (bad, good), (good, good), (good, silent))] == [
        "one",
        "other",
        "tie",
        None,
    ]
