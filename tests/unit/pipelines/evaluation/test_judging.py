"""A judge in a run: what it is asked, that nothing is asked twice, what its verdicts come to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.bundle.files import VERDICTS
from pipelines.evaluation.bundle.recorded import encode_results
from pipelines.evaluation.bundle.records import Bundle, JudgeRecord, pair_answers
from pipelines.evaluation.bundle.store import BundleStore, read_bundle
from pipelines.evaluation.judge import SYSTEM, Judge
from pipelines.evaluation.report.building import build_report
from pipelines.evaluation.report.writing import render_html, render_markdown
from pipelines.evaluation.runner import SilentWatcher
from pipelines.evaluation.runner.judging import VERDICT_TOKENS, JudgeRequest, judge_all, prepare_judge
from pipelines.evaluation.statistics import share_interval
from services.core.clients.generation import ChatDelta, GenerationClient
from services.core.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    RaglineError,
    RateLimited,
    ServiceUnavailable,
)
from services.core.wire.chat import ChatMessage, ModelInfo, ModelList
from services.core.wire.sampling import Sampling
from tests.unit.pipelines.evaluation.runs import RIGHT, WRONG, Said, question, run

JUDGE = ModelInfo(id="judge", model_id="other", profile="none", engine="fake", ready=True)
ARMS = [ModelInfo(id="small", model_id="s", ready=True), ModelInfo(id="large", model_id="l", ready=True)]
NO_PLOTS = dict.fromkeys(("forest", "frontier", "coverage", "waterfall", "ecdf", "thinking", "goodput"))
DIFFERENT, LONGER = Said("I think that it is 7."), Said("It is 3, or so.")


def prefers_seven(shown: str) -> str:
    first, second = shown.split("Answer A:")[1].split("Answer B:")
    if ("7" in first) == ("7" in second):
        return "Verdict: A"  # it cannot tell, and takes the first one
    return "Verdict: A" if "7" in first else "Verdict: B"


class Generation(GenerationClient):
    """Replies by a rule; raises what is planned for the n-th request first."""

    def __init__(self, rule: Callable[[str], str] = prefers_seven, **planned: BaseException) -> None:
        self.rule = rule
        self.planned = {int(number.lstrip("_")): error for number, error in planned.items()}
        self.asked: list[str] = []
        self.sampling: Sampling | None = None

    async def chat(
        self, messages: Sequence[ChatMessage], *, model: str = "", sampling: Sampling | None = None
    ) -> AsyncGenerator[ChatDelta]:
        self.sampling = sampling
        error = self.planned.pop(len(self.asked), None)
        if error is not None:
            raise error
        self.asked.append(messages[-1].text)
        yield ChatDelta(model=model, content=self.rule(messages[-1].text))

    async def models(self) -> ModelList:
        return ModelList(data=[*ARMS, JUDGE])


@pytest.fixture
def answered() -> Bundle:
    """Eight questions; large is right in 6, small in 3. One pair is alike, one has an empty answer."""
    asked = [question(f"q{number}", group=f"doc {number % 4}") for number in range(8)]
    made = run(
        asked,
        {
            "small": [RIGHT, RIGHT, DIFFERENT, WRONG, WRONG, WRONG, WRONG, WRONG],
            "large": [RIGHT, LONGER, RIGHT, RIGHT, RIGHT, RIGHT, Said(error="bad_gateway"), LONGER],
        },
    )
    record = JudgeRecord(model=JUDGE, instruction=SYSTEM, temperature=0.0, seed=0, max_tokens=64)
    return made.model_copy(update={"manifest": made.manifest.model_copy(update={"judge": record})})


def stored(bundle: Bundle, folder: Path) -> BundleStore:
    store = BundleStore(folder)
    store.begin(bundle.manifest, bundle.questions)
    with store.open_contexts() as contexts, store.open_answers() as answers:
        for context in bundle.contexts:
            contexts.append(context)
        for answer in bundle.answers:
            answers.append(answer)
    return store


async def judged(store: BundleStore, generation: Generation) -> Bundle:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    there = store.read_so_far()
    assert there is not None
    await judge_all(Judge(generation, "judge"), there, store, SilentWatcher(), sleep)
    return store.finish()


async def test_each_pair_that_differs_is_asked_about_in_both_orders(answered: Bundle, tmp_path: Path) -> None:
    generation = Generation()
    bundle = await judged(stored(answered, tmp_path), generation)
    assert [(match.alike, match.empty) for match in pair_answers(bundle)].count((False, False)) == 6
    assert len(generation.asked) == len(bundle.verdicts) == 12
    assert [each.first for each in bundle.verdicts[:2]] == ["baseline", "arm"]
    one, other = generation.asked[:2]
    assert one.index("It is 7.") < one.index("It is 3, or so.")
    assert other.index("It is 7.") > other.index("It is 3, or so.")
    assert "The number is 7." in one


async def test_stopped_anywhere_it_goes_on_and_asks_nothing_twice(answered: Bundle, tmp_path: Path) -> None:
    whole = await judged(stored(answered, tmp_path / "whole"), Generation())
    for at in (0, 1, 5, 11):
        store = stored(answered, tmp_path / f"stopped at {at}")
        first, second = Generation(**{f"_{at}": KeyboardInterrupt()}), Generation()
        with pytest.raises(KeyboardInterrupt):
            await judged(store, first)
        with pytest.raises(InvalidRequest, match=f"has {at} of 12 verdicts of its judge"):
            read_bundle(store.folder)
        with (store.folder / VERDICTS).open("ab") as file:
            file.write(b'{"question": "mine/q')  # what a kill leaves
        resumed = await judged(store, second)
        assert len(first.asked) + len(second.asked) == 12
        assert resumed == whole
        assert encode_results(compute_results(resumed)) == encode_results(compute_results(whole))
        assert (store.folder / VERDICTS).read_bytes() == (tmp_path / "whole" / VERDICTS).read_bytes()


async def test_a_busy_judge_is_waited_for_and_one_that_is_down_stops_the_run(
    answered: Bundle, tmp_path: Path
) -> None:
    busy = Generation(_3=RateLimited("full", service="generation"))
    assert all(each.error is None for each in (await judged(stored(answered, tmp_path / "a"), busy)).verdicts)

    class Down(Generation):
        async def chat(
            self, messages: Sequence[ChatMessage], *, model: str = "", sampling: Sampling | None = None
        ) -> AsyncGenerator[ChatDelta]:
            raise ServiceUnavailable("gone", service="generation")
            yield ChatDelta()

    with pytest.raises(ServiceUnavailable):
        await judged(stored(answered, tmp_path / "b"), Down())


async def test_what_a_judge_fails_with_is_recorded(answered: Bundle, tmp_path: Path) -> None:
    generation = Generation(_2=ContextLengthExceeded("too long", service="generation"))
    bundle = await judged(stored(answered, tmp_path), generation)
    [failed] = [each for each in bundle.verdicts if each.error is not None]
    assert (failed.reply, failed.error.code) == ("", "context_length_exceeded")
    found = compute_results(bundle).judge
    assert (found.failed, found.unread.count, found.arms[0].unsettled) == (1, 1, 1)


async def test_verdicts_by_hand(answered: Bundle, tmp_path: Path) -> None:
    bundle = await judged(stored(answered, tmp_path), Generation())
    found = compute_results(bundle).judge
    assert (found.judge, found.model_id, found.baseline, found.pairs) == ("judge", "other", "small", 6)
    [large] = found.arms
    # q1 small; q2 both 7: by the order; q3, q4, q5 large; q7 both 3: by the order
    assert (large.won, large.lost, large.tied, large.alike, large.left_out) == (3, 1, 2, 1, 1)
    assert (found.flips.count, found.flips.n) == (2, 6)
    assert (found.first_shown.count, found.first_shown.n) == (8, 12)
    assert (found.unread.count, found.unread.n, found.failed) == (0, 12, 0)
    # right, by `correct`: q1 small, q2 tie, q3 to q5 large, q7 tie
    assert (found.with_correct.count, found.with_correct.n, found.kappa_correct) == (6, 6, 1.0)
    # of four documents, so no more certain than four questions
    expected = share_interval([1.0] * 4, [*"abcd"])
    assert (found.with_correct.low, found.with_correct.high) == pytest.approx(expected)
    assert found.with_supported.n == 0
    assert found.kappa_supported is None
    assert (large.n, large.difference) == (7, pytest.approx(2 / 7))
    assert large.low < large.difference < large.high
    assert "in the judge's preference between large and small" in large.verdict
    assert "gained" not in large.verdict


def test_a_run_without_a_judge_has_none() -> None:
    assert compute_results(run([question("a")], {"small": [RIGHT], "large": [WRONG]})).judge is None


async def test_the_report_says_what_the_judge_is_worth(answered: Bundle, tmp_path: Path) -> None:
    bundle = await judged(stored(answered, tmp_path), Generation())
    found = compute_results(bundle)
    report = build_report(bundle, found)
    for text in (render_html(report, NO_PLOTS), render_markdown(report, NO_PLOTS)):
        assert "changes with the order" in text
        assert "3 / 3 / 1" in text
        assert "A judge&#39;s preference" in text or "A judge's preference" in text
    assert 'id="judge"' not in render_html(
        build_report(answered, found.model_copy(update={"judge": None})), NO_PLOTS
    )


async def test_a_judge_is_opened_before_any_model_is_called(answered: Bundle) -> None:
    arms, models = answered.manifest.arms, [*ARMS, JUDGE]

    async def refused(entry: str, says: str, given=arms, known=models, *, may_be_arm: bool = False) -> None:
        generation = Generation()
        with pytest.raises(RaglineError, match=says):
            await prepare_judge(JudgeRequest(entry, generation, may_be_arm), given, known)
        assert generation.asked == []

    await refused("nobody", "the judge 'nobody' is no model entry: choose one of small, large, judge")
    await refused("large", "is the model of the arm 'large'")
    await refused("judge", "name at least two in --arms", given=arms[:1])
    await refused("judge", "none of the gateway's: set GENERATION_URL", known=ARMS)
    down = JUDGE.model_copy(update={"ready": False, "engine": "vllm", "detail": "refused"})
    await refused("judge", "judge judge: its entry judge cannot answer: refused", known=[*ARMS, down])

    judge, record = await prepare_judge(JudgeRequest("judge", Generation()), arms, models)
    assert (record.model.id, record.max_tokens, judge.sampling.max_tokens) == ("judge", VERDICT_TOKENS, 64)
    thinking = [*ARMS, JUDGE.model_copy(update={"profile": "deepseek-r1"})]
    assert (await prepare_judge(JudgeRequest("judge", Generation()), arms, thinking))[1].max_tokens is None
    assert (await prepare_judge(JudgeRequest("large", Generation(), True), arms, models))[
        1
    ].model.id == "large"
