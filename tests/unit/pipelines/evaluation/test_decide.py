"""A run that stops by itself: when, on what evidence, gone on with after a stop, and replayed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.context import freeze
from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.analysis.evidence import assess_bundle
from pipelines.evaluation.analysis.scores import score_answers
from pipelines.evaluation.bundle.files import ANSWERS, RESULTS
from pipelines.evaluation.bundle.integrity import fingerprint
from pipelines.evaluation.bundle.recorded import write_results
from pipelines.evaluation.bundle.store import BundleStore, read_bundle
from pipelines.evaluation.gate import gate
from pipelines.evaluation.gate.policy import Policy, Quality, Rule
from pipelines.evaluation.report.building import build_report
from pipelines.evaluation.report.writing import render_html, render_markdown
from pipelines.evaluation.results import Results
from pipelines.evaluation.runner import SilentWatcher, plan
from pipelines.evaluation.runner.deciding import Budget
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import Options
from pipelines.evaluation.runner.run import Evaluation, run
from pipelines.evaluation.statistics.sequential import (
    BoundedScores,
    best_evidence,
    confidence_bounds,
    forecast_clusters,
)
from pipelines.evaluation.swap.criteria import list_criteria
from pipelines.evaluation.swap.records import SequentialResult
from pipelines.evaluation.swap.sequential import AnsweredQuestion, assess_policy, make_swap
from services.core.errors import Conflict, InvalidRequest, Unauthorized
from services.core.wire.answer import Timings
from services.core.wire.chat import ModelInfo
from services.core.wire.compare import ArmReply, ArmRequest
from services.core.wire.passages import Passage
from tests.unit.pipelines.evaluation.runs import question


class Known(Gateway):
    """Two arms that are right with known probabilities, each about the same question for itself."""

    def __init__(self, right: dict[str, float], e2el: dict[str, float], breaks: int = -1) -> None:
        self.name = "gateway"
        self.right, self.e2el, self.left = right, e2el, breaks

    async def models(self) -> tuple[ModelInfo, ...]:
        return tuple(ModelInfo(id=name, model_id=name, ready=True) for name in self.right)

    async def ask(self, question: str, arm: ArmRequest, passages: Sequence[Passage]) -> ArmReply:
        if self.left == 0:
            raise Unauthorized("the key was taken away")
        self.left -= 1
        generator = random.Random(f"{question} by {arm.name}")
        right = generator.random() < self.right[arm.name]
        took = self.e2el[arm.name] * generator.uniform(0.8, 1.2)
        return ArmReply(
            arm=arm.name,
            model=arm.model,
            prompt=arm.prompt,
            status="answered",
            context_id=freeze(list(passages)).context_id,
            content="Answer: 7" if right else "Answer: 3",
            finish_reason="stop",
            timings=Timings(ttft=took / 2, ttfo=took / 2, e2el=took),
        )


class Notes(SilentWatcher):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


MARGIN = Policy(quality=Quality(margin=0.1), rules=(Rule(metric="e2el", max_ratio=2),))


def planned(
    folder: Path, policy: Policy = MARGIN, budget: Budget | None = None, *, n: int = 120, size: int = 1
) -> Evaluation:
    file = folder.parent / "mine.jsonl"
    lines = [
        {
            "question": f"What is number {number}?",
            "answer": "7",
            "kind": "numeric",
            "group": f"g{number // size}",
        }
        for number in range(n)
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Evaluation(
        plan.choose_datasets([str(file)], "", None, 0),
        plan.parse_arms("small,large"),
        Options(seed=3, retrieve=False),
        folder,
        policy,
        budget or Budget(),
    )


def assess(folder: Path) -> SequentialResult:
    """The evidence alone: all results take much longer."""
    bundle = read_bundle(folder)
    scored = {(answer.question.id, answer.answer.arm): answer for answer in score_answers(bundle)}
    assert bundle.manifest.policy is not None
    found = assess_bundle(bundle, scored, bundle.manifest.policy)
    assert found is not None
    return found


async def decide(evaluation: Evaluation, gateway: Gateway, watcher: SilentWatcher | None = None) -> Results:
    return compute_results(await run(evaluation, gateway, watcher or SilentWatcher()))


@pytest.mark.parametrize(
    ("large", "slower", "size", "answer", "verdict", "most"),
    [
        (0.9, 1.0, 1, "yes", "non-inferior", 60),
        (0.9, 1.0, 3, "yes", "non-inferior", 90),
        (0.05, 1.0, 1, "no", "worse", 90),
        (0.9, 6.0, 1, "no", "undecided", 30),  # too slow is shown before any gain is
    ],
)
async def test_it_stops_when_the_policy_is_settled(
    tmp_path: Path, large: float, slower: float, size: int, answer: str, verdict: str, most: int
) -> None:
    gateway = Known({"small": 0.5, "large": large}, {"small": 1000, "large": 1000 * slower})
    watcher = Notes()
    found = await decide(planned(tmp_path / "run", size=size), gateway, watcher)
    assert found.sequential is not None
    [swap] = found.swaps
    assert (swap.answer, swap.verdict) == (answer, verdict)
    assert found.sequential.questions <= most
    assert found.sequential.questions % size == 0
    bundle = read_bundle(tmp_path / "run")
    assert bundle.manifest.sequential is not None
    assert bundle.manifest.sequential.ended == "settled"
    assert len(bundle.questions) == found.sequential.questions
    report = build_report(bundle, found)
    none = dict.fromkeys(("forest", "frontier", "coverage", "waterfall", "ecdf", "thinking", "goodput"))
    for text in (render_html(report, none), render_markdown(report, none)):
        assert "What settled it" in text
        assert "e2el: max" in text.replace("\\_", "_")
    assert gate(found, MARGIN).outcome == {"yes": "pass", "no": "fail"}[answer]
    widths = [step.high - step.low for step in found.sequential.steps]
    assert widths == sorted(widths, reverse=True)
    assert len(watcher.notes) == found.sequential.clusters
    assert "correct" in watcher.notes[-1]
    assert "e2el" in watcher.notes[-1]


async def test_the_questions_are_asked_in_a_random_order_with_those_that_hang_together(
    tmp_path: Path,
) -> None:
    gateway = Known({"small": 0.5, "large": 0.5}, {"small": 1000, "large": 1000})
    await run(planned(tmp_path / "run", budget=Budget(questions=30), size=3), gateway, SilentWatcher())
    bundle = read_bundle(tmp_path / "run")
    groups = [question.item.group for question in bundle.questions]
    assert [groups[index] for index in range(0, 30, 3) for _ in range(3)] == groups
    assert len(set(groups)) == 10
    assert groups != sorted(groups)
    orders = {answer.question: answer.order // 2 for answer in bundle.answers}
    assert [orders[question.id] for question in bundle.questions] == list(range(30))


async def test_it_ends_at_its_budget_and_goes_on_with_a_greater_one(tmp_path: Path) -> None:
    gateway = Known({"small": 0.5, "large": 0.5}, {"small": 1000, "large": 1000})
    short = await decide(planned(tmp_path / "run", budget=Budget(questions=10)), gateway)
    assert short.sequential is not None
    [swap] = short.swaps
    assert (short.sequential.questions, swap.answer) == (10, "undecided")
    assert swap.sentence.startswith("undecided: large against small in correct (")
    assert "At this pace it needs about " in swap.sentence
    await run(planned(tmp_path / "run", budget=Budget(questions=15)), gateway, SilentWatcher())
    longer = assess(tmp_path / "run")
    assert longer.questions == 15
    assert [answer.question for answer in read_bundle(tmp_path / "run").answers[:20]] == [
        question.id for question in read_bundle(tmp_path / "run").questions[:10] for _ in range(2)
    ]
    await run(planned(tmp_path / "other", budget=Budget(questions=15)), gateway, SilentWatcher())
    assert assess(tmp_path / "other") == longer


async def test_it_does_not_go_on_from_answers_that_were_changed(tmp_path: Path) -> None:
    folder, gateway = tmp_path / "run", Known({"small": 0.5, "large": 0.5}, {"small": 1000, "large": 1000})
    write_results(folder, await decide(planned(folder, budget=Budget(questions=4)), gateway))
    recorded = (folder / ANSWERS).read_bytes()
    (folder / ANSWERS).write_bytes(recorded.replace(b"Answer: 3", b"Answer: 7", 1))
    with pytest.raises(InvalidRequest, match="changed after the run"):
        await run(planned(folder, budget=Budget(questions=6)), gateway, SilentWatcher())
    (folder / ANSWERS).write_bytes(recorded)
    await run(planned(folder, budget=Budget(questions=6)), gateway, SilentWatcher())
    assert not (folder / RESULTS).exists()  # those of 4 questions are none of 6
    assert assess(folder).questions == 6


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_a_budget_that_cannot_be_is_refused_by_name(minutes: float) -> None:
    with pytest.raises(InvalidRequest, match="--minutes"):
        Budget(minutes=minutes)


async def test_minutes_end_it_too(tmp_path: Path) -> None:
    gateway = Known({"small": 0.5, "large": 0.5}, {"small": 1000, "large": 1000})
    evaluation = planned(tmp_path / "run", budget=Budget(questions=12))
    await run(evaluation, gateway, SilentWatcher())
    # the run took no minute: what is recorded of it is moved to two minutes
    store = BundleStore(tmp_path / "run")
    text = (tmp_path / "run" / ANSWERS).read_text().splitlines()
    text[-1] = json.dumps({**json.loads(text[-1]), "at": 120.0})
    (tmp_path / "run" / ANSWERS).write_text("\n".join(text) + "\n")
    again = planned(tmp_path / "run", budget=Budget(minutes=1.5))
    await run(again, gateway, SilentWatcher())
    assert assess(tmp_path / "run").questions == 12
    assert store.read_so_far() is not None
    sequential = read_bundle(tmp_path / "run").manifest.sequential
    assert sequential is not None
    assert sequential.ended == "minutes"


async def test_it_ends_where_settling_is_out_of_reach(tmp_path: Path) -> None:
    """Arms that are alike and differ often, a margin of one point, 60 questions at most."""
    policy = Policy(quality=Quality(margin=0.01))
    gateway = Known({"small": 0.5, "large": 0.5}, {"small": 1000, "large": 1000})
    await run(planned(tmp_path / "run", policy, Budget(questions=60)), gateway, SilentWatcher())
    assert 20 <= assess(tmp_path / "run").questions < 60
    sequential = read_bundle(tmp_path / "run").manifest.sequential
    assert sequential is not None
    assert sequential.ended == "hopeless"


async def test_killed_it_goes_on_to_the_same_end_and_replays_bit_for_bit(tmp_path: Path) -> None:
    arms = ({"small": 0.5, "large": 0.9}, {"small": 1000, "large": 1000})
    await run(planned(tmp_path / "whole", size=3), Known(*arms), SilentWatcher())
    for breaks in (9, 14):
        with pytest.raises(Unauthorized):
            await run(planned(tmp_path / "run", size=3), Known(*arms, breaks), SilentWatcher())
    assert assess(tmp_path / "run").questions % 3 == 0
    found = await decide(planned(tmp_path / "run", size=3), Known(*arms))
    assert assess(tmp_path / "run") == assess(tmp_path / "whole")
    assert compute_results(read_bundle(tmp_path / "run")) == found
    settled = Known(*arms, breaks=0)  # nothing is asked any more
    await run(planned(tmp_path / "run", size=3), settled, SilentWatcher())
    assert fingerprint(read_bundle(tmp_path / "run")) == found.bundle


async def test_a_fixed_run_and_one_that_stops_are_not_mixed(tmp_path: Path) -> None:
    gateway = Known({"small": 0.5, "large": 0.5}, {"small": 1000, "large": 1000})
    evaluation = planned(tmp_path / "run", budget=Budget(questions=4))
    await run(evaluation, gateway, SilentWatcher())
    fixed = Evaluation(evaluation.datasets, evaluation.arms, evaluation.options, evaluation.folder, MARGIN)
    with pytest.raises(Conflict, match="it was begun by ragline decide"):
        await run(fixed, gateway, SilentWatcher())


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"max_failed": 0}, r"it has no \[quality\]"),
        ({"quality": {"metric": "words", "margin": 1}}, "no arm is better by 'words'"),
        ({"quality": {"metric": "e2el", "margin": 100}}, "a difference in ms has no bounds.*give max_ratio"),
        ({"quality": {"metric": "pairs both right", "margin": 0.1}}, "no metric of single answers"),
        (
            {"quality": {"margin": 0.1}, "rules": [{"metric": "e2el", "max": 100}]},
            r"rules\[1\].max: a mean in ms has no bounds.*percentile",
        ),
        (
            {"quality": {"margin": 0.1}, "rules": [{"metric": "correct", "max_ratio": 2}]},
            "ratios are not known of 'correct'",
        ),
        ({"quality": {"margin": 3}}, "3 is no margin of shares"),
    ],
)
def test_what_has_no_bounds_is_refused_with_what_to_write(policy: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        list_criteria(Policy.model_validate(policy))


def test_criteria_are_means_that_must_reach_a_threshold() -> None:
    policy = Policy(
        quality=Quality(metric="hallucination rate", margin=0.1),
        rules=(
            Rule(metric="e2el", max_ratio=2, percentile=0.5, max=900),
            Rule(metric="correct", min=0.6, must_not_be_worse=True),
        ),
    )
    base = {"hallucination rate": 0.0, "e2el": 500.0, "correct": 1.0}
    own = {"hallucination rate": 1.0, "e2el": 2000.0, "correct": 0.0}
    found = {
        (criterion.metric, criterion.asked): (criterion.value(base, own), criterion.threshold)
        for criterion in list_criteria(policy)
    }
    assert found == {
        ("hallucination rate", "margin"): (-1.0, -0.1),
        ("e2el", "max_ratio"): (pytest.approx(-np.log(2)), 0.0),
        ("e2el p50", "share within max 900"): (0.0, 0.5),
        ("correct", "must_not_be_worse"): (-1.0, 0.0),
        ("correct", "min"): (0.0, 0.6),
    }


def scores(values: Sequence[float], sizes: Sequence[int] = (), largest: int = 1) -> BoundedScores:
    counts = np.array(sizes or [1] * len(values), dtype=float)
    return BoundedScores(np.array(values, dtype=float), counts, -1.0, 1.0, largest)


def test_the_bounds_narrow_around_the_mean_and_agree_with_the_evidence() -> None:
    generator = np.random.default_rng(2)
    values = generator.choice([-1.0, 0.0, 1.0], p=[0.1, 0.6, 0.3], size=200)
    low, high = confidence_bounds(scores(values))
    assert low < 0.2 < high
    for bound, above in ((low, True), (high, False)):
        outside = bound - 0.001 if above else bound + 0.001
        inside = bound + 0.001 if above else bound - 0.001
        assert best_evidence(scores(values), outside, above=above) >= np.log(40)
        assert best_evidence(scores(values), inside, above=above) < np.log(40)
    assert confidence_bounds(scores([])) == (-1.0, 1.0)
    earlier = confidence_bounds(scores(values[:100]))
    assert earlier[0] <= low
    assert high <= earlier[1]


def test_what_was_not_scored_leaves_the_forecast_open_in_words() -> None:
    """A rule of unanswerable questions, of which none was asked yet."""
    policy = Policy(
        quality=Quality(margin=0.1), rules=(Rule(metric="hallucination rate", min_difference=-0.1),)
    )
    answered = [AnsweredQuestion(question("q"), {"correct": 1.0}, {"correct": 1.0})]
    found = assess_policy(policy, "large", [answered] * 12, largest=1, most=20)
    assert [criterion.value for criterion in found.criteria] == [0.0, None]
    swap = make_swap(found, "small", 0.1, "")
    assert found.needed is None
    assert "What was seen does not tell how many more of these questions would settle it." in swap.sentence


def test_the_forecast_is_where_the_same_again_would_reach_it() -> None:
    values = [1.0, 0.0, 0.0, 0.0] * 5
    more = forecast_clusters(scores(values), 0.0, np.log(40), above=True)
    assert best_evidence(scores(values), 0.0, above=True) < np.log(40)
    times = int(np.ceil((more + 20) / 4))
    assert best_evidence(scores([1.0, 0.0, 0.0, 0.0] * times), 0.0, above=True) >= np.log(40)
    assert forecast_clusters(scores(values), 0.0, np.log(40), above=False) == float("inf")
    assert forecast_clusters(scores([]), 0.0, np.log(40), above=True) == float("inf")
