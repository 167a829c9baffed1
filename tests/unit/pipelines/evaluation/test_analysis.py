"""Small runs whose results are counted by hand."""

from __future__ import annotations

import math
import random

import pytest

from pipelines.evaluation.analysis import compute_results
from pipelines.evaluation.analysis.scores import score_answer
from pipelines.evaluation.bundle.recorded import encode_results
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.grounding.answers import ground_answer
from pipelines.evaluation.grounding.scorer import GroundednessScorer
from pipelines.evaluation.metric import AnswerInContext
from pipelines.evaluation.metrics.citations import supported_by_record
from pipelines.evaluation.results import Delta, MetricResult, Rate, Results
from pipelines.evaluation.statistics import holm, share_interval
from services.core.errors import InvalidRequest
from services.core.wire.grounding import AnswerGroundedness
from services.core.wire.passages import Passage
from tests.unit.pipelines.evaluation.runs import RIGHT, WRONG, Said, context, question, run


def metric(found: Results, name: str, scope: str = "overall") -> MetricResult:
    return next(each for each in found.metrics if (each.metric, each.scope) == (name, scope))


def rate(found: Results, name: str, arm: str, scope: str = "overall") -> Rate:
    return next(each for each in metric(found, name, scope).rates if each.arm == arm)


def delta(found: Results, name: str, arm: str = "large", scope: str = "overall") -> Delta:
    return next(each for each in metric(found, name, scope).deltas if each.arm == arm)


def claim_shares(record: AnswerGroundedness) -> dict[str, float]:
    """What the metrics make of a record of groundedness."""
    asked = question("a", kind="free", answers=())
    found = context(asked, "Ice floats on water.")
    reply = Said("Ice floats.", groundedness=record).reply("small", found.context.context_id)
    scores = score_answer(AnswerInContext(asked.item, found, reply))
    return {
        name: scores[name] for name in ("supported", "contradicted", "reasoning supported") if name in scores
    }


def ten(prefix: str = "q", **fields: object) -> list:
    return [question(f"{prefix}{number}", **fields) for number in range(10)]


def by_hand() -> Bundle:
    """Of ten questions small has four right; large has three of these, and five of the others."""
    return run(
        ten(),
        {"small": [RIGHT] * 4 + [WRONG] * 6, "large": [WRONG] + [RIGHT] * 8 + [WRONG]},
    )


def test_rates_and_the_difference_are_those_counted() -> None:
    found = compute_results(by_hand())
    assert rate(found, "correct", "small").value == 0.4
    assert rate(found, "correct", "large").value == 0.8
    assert (rate(found, "correct", "small").low, rate(found, "correct", "small").high) == pytest.approx(
        share_interval([1.0] * 4 + [0.0] * 6), rel=1e-8
    )
    each = delta(found, "correct")
    assert (each.n, each.clusters, each.unpaired, each.gained, each.lost) == (10, 10, 0, 5, 1)
    assert each.difference == 0.4
    assert (each.test, each.p) == ("mcnemar", 0.21875)
    assert (each.detectable, each.better) == (False, None)


def test_repeats_are_averaged_within_their_question() -> None:
    found = compute_results(
        run(
            [question("a"), question("b")],
            {"small": [(RIGHT, WRONG), (WRONG, WRONG)], "large": [(RIGHT, RIGHT), (RIGHT, WRONG)]},
        )
    )
    assert (rate(found, "correct", "small").n, rate(found, "correct", "small").value) == (2, 0.25)
    assert delta(found, "correct").difference == 0.5
    assert delta(found, "correct").gained is None
    assert len(found.questions) == 8


def test_questions_of_a_group_are_one_cluster_in_their_data_set() -> None:
    questions = [
        question(f"{dataset}{number}", dataset=dataset, group=f"doc {number % 2}")
        for dataset in ("one", "two")
        for number in range(4)
    ]
    found = compute_results(run(questions, {"small": [WRONG] * 8, "large": [RIGHT, WRONG] * 4}))
    assert (delta(found, "correct").n, delta(found, "correct").clusters) == (8, 4)
    assert delta(found, "correct", scope="one").clusters == 2


def test_scopes_are_data_sets_and_where_there_are_several_their_types() -> None:
    questions = [
        question("a", dataset="one"),
        question("b", dataset="two", type_="sums"),
        question("c", dataset="two", type_="words"),
    ]
    found = compute_results(run(questions, {"small": [RIGHT] * 3, "large": [RIGHT, WRONG, WRONG]}))
    assert list(dict.fromkeys(each.scope for each in found.metrics)) == [
        "overall",
        "one",
        "two",
        "two/sums",
        "two/words",
    ]
    assert delta(found, "correct", scope="two").difference == -1
    assert delta(found, "correct", scope="one").difference == 0


def test_a_failed_request_is_not_correct_and_has_no_latency() -> None:
    failed = Said(error="bad_gateway")
    found = compute_results(run(ten(), {"small": [RIGHT] * 10, "large": [failed] * 2 + [RIGHT] * 8}))
    assert rate(found, "correct", "large").value == 0.8
    assert (rate(found, "e2el", "large").n, delta(found, "e2el").n, delta(found, "e2el").unpaired) == (
        8,
        8,
        2,
    )
    [small, large] = found.outcomes
    assert (large.asked, large.answered, large.failed) == (10, 8, {"bad_gateway": 2})
    assert small.failed == {}
    assert "2 of 10 requests of large failed (bad_gateway 2)" in found.warnings[0]
    assert (
        "without the 2 questions that have a failed request large is +0.0 points from small"
        in found.warnings[1]
    )
    assert next(each.scores for each in found.questions if each.arm == "large") == {"correct": 0.0}


def test_a_request_that_timed_out_is_a_latency_censored_at_its_deadline() -> None:
    """An arm that fails on what takes it long must not look faster by it."""
    late = Said(error="deadline_exceeded", elapsed=30.0)
    found = compute_results(run(ten(), {"small": [RIGHT] * 10, "large": [late] * 6 + [RIGHT] * 4}))
    assert rate(found, "e2el", "large").n == 10
    assert rate(found, "e2el", "large").value == pytest.approx((6 * 30_000 + 4 * 1_000) / 10)
    assert delta(found, "e2el").unpaired == 0
    assert rate(found, "correct", "large").value == 0.4
    halves = {each.arm: each for each in found.percentiles if (each.figure, each.level) == ("e2el", 0.5)}
    assert (halves["large"].value, halves["large"].at_least, halves["large"].high) == (30_000, True, None)
    assert (halves["small"].value, halves["small"].at_least) == (1_000, False)
    assert any("6 of them timed out, after 30 s or more" in each for each in found.warnings)
    assert next(each for each in found.ratios if each.metric == "e2el").ratio > 5
    unknown = Said(error="deadline_exceeded")
    before = compute_results(run(ten(), {"small": [RIGHT] * 10, "large": [unknown] * 2 + [RIGHT] * 8}))
    assert rate(before, "e2el", "large").n == 8


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (Said("7", e2el=-5.0), "small's answer to 'mine/q0' has e2el = -5 ms"),
        (Said("7", e2el=math.inf), "e2el = inf ms"),
        (Said("7", e2el=1e12), "e2el = 1e\\+12 ms"),
        (Said("7", ttft=-1.0), "ttft = -1 ms"),
        (Said("7", timings={"retrieval": -0.1}), "retrieval = -0.1 ms"),
    ],
)
def test_times_that_cannot_be_are_refused_by_name(said: Said, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        compute_results(run(ten(), {"small": [said] + [RIGHT] * 9}))


def test_every_metric_whose_arms_are_scored_on_different_questions_is_named() -> None:
    silent = Said("It is 7.", ttfo=None)
    found = compute_results(run(ten(), {"small": [RIGHT] * 10, "large": [silent] * 3 + [RIGHT] * 7}))
    assert delta(found, "ttfo").unpaired == 3
    assert any("scored in one arm alone" in each and "ttfo (3)" in each for each in found.warnings)


def test_percentiles_with_repeats_count_questions() -> None:
    asked = [question(f"q{number}") for number in range(5)]
    found = compute_results(run(asked, {"small": [[RIGHT] * 3] * 5}))
    [half] = [each for each in found.percentiles if (each.figure, each.level) == ("e2el", 0.5)]
    assert (half.n, half.needed, half.value) == (5, 6, None)


def test_thinking_without_an_answer_is_wrong_and_refuses_nothing() -> None:
    lost = Said(finish="reasoning_truncated", reasoning="Hmm", ttfo=None, tokens=64, thought=64)
    refused = Said("I don't know.")
    asked = [question("a"), question("b", kind="abstain", answers=(), answerable=False)]
    found = compute_results(run(asked, {"small": [refused, refused], "large": [lost, lost]}))
    assert rate(found, "correct", "small").value == 0.5
    assert rate(found, "correct", "large").value == 0
    assert rate(found, "truncated", "large").value == 1
    assert rate(found, "reasoning tokens", "large").value == 64
    [small, large] = found.outcomes
    assert (small.answered, small.abstained, small.truncated) == (0, 2, 0)
    assert (large.answered, large.abstained, large.truncated) == (0, 0, 2)
    assert [each.arm for each in found.abstention if each.scope == "overall"] == ["small"]


def test_the_two_by_two_counts_answers() -> None:
    asked = [question(name) for name in "abc"] + [
        question(name, answers=(), answerable=False) for name in "de"
    ]
    refused = Said("The passages do not say.")
    found = compute_results(
        run(asked, {"small": [RIGHT, WRONG, refused, refused, WRONG], "large": [RIGHT] * 3 + [refused] * 2})
    )
    [small, large] = [each for each in found.abstention if each.scope == "overall"]
    assert (small.answerable_answered, small.answerable_abstained) == (2, 1)
    assert (small.unanswerable_answered, small.unanswerable_abstained) == (1, 1)
    assert (large.unanswerable_answered, large.unanswerable_abstained) == (0, 2)
    assert rate(found, "hallucination rate", "small").value == 0.5
    assert rate(found, "abstention error rate", "small").value == pytest.approx(1 / 3)
    assert rate(found, "correct", "small").value == 0.4
    assert metric(found, "hallucination rate").higher_is_better is False


def test_latencies_have_the_search_in_them_once() -> None:
    asked = [question("a"), question("b")]
    searched = [
        context(each, "x", grounds="retrieved", e2el=50.0, embedding=20.0, retrieval=30.0) for each in asked
    ]
    within = Said("7", e2el=1050, ttft=150, ttfo=250, timings={"embedding": 20.0, "retrieval": 30.0})
    found = compute_results(run(asked, {"small": [RIGHT, RIGHT], "large": [within, within]}, searched))
    for arm in ("small", "large"):
        assert rate(found, "e2el", arm).value == 1050
        assert rate(found, "ttft", arm).value == 150
    for each in found.stages:
        assert each.stages == {
            "rewriting": None,
            "embedding": 20,
            "retrieval": 30,
            "reranking": None,
            "neighbours": None,
            "selection": None,
            "prefill": 100,
            "think": None,
            "answer": 800,
        }


def test_a_ratio_is_the_geometric_mean_over_questions() -> None:
    slow, slower = Said("7", e2el=2000), Said("7", e2el=8000)
    found = compute_results(
        run([question("a"), question("b")], {"small": [RIGHT] * 2, "large": [slow, slower]})
    )
    [ratio] = [each for each in found.ratios if (each.metric, each.scope) == ("e2el", "overall")]
    assert (ratio.n, ratio.ratio) == (2, 4.0)
    assert ratio.low is None
    assert delta(found, "e2el").difference == 4000


def test_think_time_is_nothing_where_there_was_no_thinking() -> None:
    thinker = Said("7", think=600, reasoning="So.", ttfo=700, thought=40)
    uncounted = Said("7", think=600, reasoning="So.", ttfo=700, thought=None)
    found = compute_results(
        run([question("a"), question("b")], {"small": [RIGHT] * 2, "large": [thinker, uncounted]})
    )
    assert delta(found, "think").difference == 600
    assert delta(found, "reasoning tokens").n == 1
    assert [each.arm for each in found.percentiles if (each.figure, each.level) == ("think", 0.5)] == [
        "large"
    ]


def test_percentiles_are_given_where_the_sample_carries_them() -> None:
    asked = [question(f"q{number}") for number in range(80)]
    times = [Said("7", e2el=float(number)) for number in range(1, 81)]
    found = compute_results(run(asked, {"small": times, "large": times}))
    levels = {each.level: each for each in found.percentiles if (each.arm, each.figure) == ("small", "e2el")}
    assert levels[0.5].value == 40.5
    assert levels[0.95].value == pytest.approx(76.05)
    assert (levels[0.99].value, levels[0.99].n, levels[0.99].needed) == (None, 80, 368)


def test_twins_count_where_both_are_right() -> None:
    asked = [
        question(f"{group}-{role}", group=group, meta={"role": role})
        for group in ("w1", "w2", "w3")
        for role in ("trap", "control")
    ] + [question("loose", group="w4", meta={"role": "trap"})]
    found = compute_results(
        run(
            asked,
            {
                "small": [RIGHT, WRONG, WRONG, RIGHT, RIGHT, RIGHT, RIGHT],
                "large": [RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, WRONG, RIGHT],
            },
        )
    )
    assert rate(found, "pairs both right", "small").value == pytest.approx(1 / 3)
    assert rate(found, "pairs both right", "large").n == 3
    each = delta(found, "pairs both right")
    assert (each.n, each.clusters, each.gained, each.lost) == (3, 3, 2, 1)


def test_what_retrieval_found_is_the_same_for_all_arms() -> None:
    asked = [question("a", relevant=("r1", "r2")), question("b", relevant=("r3",)), question("c")]
    contexts = [
        context(asked[0], "x", "y", grounds="retrieved", found=("", "r1"), e2el=1.0),
        context(asked[1], "x", "y", grounds="retrieved", found=("r3", ""), e2el=1.0),
        context(asked[2], "x", grounds="retrieved", found=("",), e2el=1.0),
    ]
    found = compute_results(run(asked, {"small": [RIGHT] * 3, "large": [RIGHT] * 3}, contexts))
    [shared] = metric(found, "context recall").rates
    assert (shared.arm, shared.n, shared.value) == ("", 2, 0.75)
    assert metric(found, "reciprocal rank").rates[0].value == 0.75
    assert metric(found, "context recall").deltas == ()


def test_citations_are_scored_where_they_were_asked_for() -> None:
    asked = [question("a", kind="exact", answers=("ice",))]
    contexts = [context(asked[0], "Ice floats on water.", "Tigers have stripes.")]
    cited = Said("Ice floats on water [1]. Tigers bark loudly at night [3].", prompt="cite")
    plain = Said("Ice floats on water [1].")
    found = compute_results(run(asked, {"small": [plain], "large": [cited]}, contexts))
    assert rate(found, "citation recall", "large").value == 0.5
    assert rate(found, "citation precision", "large").value == 1
    assert rate(found, "citation validity", "large").value == 0.5
    assert [each.arm for each in metric(found, "citation recall").rates] == ["large"]
    assert metric(found, "citation recall").deltas == ()


async def test_support_is_read_from_the_record() -> None:
    passages = [Passage(id="p1", document_id="d", text="Ice floats on water. Ice is cold.")]
    answer = "Ice floats on water [1]. Tigers bark loudly at night [1]."
    record = await ground_answer("q", passages, answer, scorer=GroundednessScorer())
    assert claim_shares(record) == {"supported": 0.5, "contradicted": 0.0}
    supports = supported_by_record(record)
    assert supports(passages[0].text, "Ice floats on water.")
    assert not supports("Steel sinks.", "Ice floats on water.")
    assert not supports(passages[0].text, "Tigers bark loudly at night.")
    assert supports(passages[0].text, "Ice is cold.")  # not in the record: by words
    asked = [question("a", kind="exact", answers=("ice",))]
    judged = Said(answer, prompt="cite", groundedness=record)
    unjudged = Said("I don't know.", unjudged="the embedding service is down")
    found = compute_results(
        run(asked, {"small": [judged], "large": [unjudged]}, [context(asked[0], passages[0].text)])
    )
    assert rate(found, "supported", "small").value == 0.5
    assert rate(found, "citation precision", "small").value == 0.5
    assert [each.arm for each in metric(found, "supported").rates] == ["small"]
    assert (
        "the groundedness of 1 answers of large is missing: the embedding service is down" in found.warnings
    )


async def test_a_recorded_verdict_is_judged_anew_from_its_evidence() -> None:
    passages = [Passage(id="p1", document_id="d", text="Ice floats on water.")]
    record = await ground_answer("q", passages, "Ice floats on water.", scorer=GroundednessScorer())
    sentence = record.answer.sentences[0].model_copy(update={"verdict": "contradicted"})
    forged = record.model_copy(update={"answer": record.answer.model_copy(update={"sentences": [sentence]})})
    assert claim_shares(forged) == {"supported": 1.0, "contradicted": 0.0}


def test_primary_metrics_are_adjusted_over_arms_and_the_others_over_their_family() -> None:
    asked = [question(f"q{number}", kind="exact", answers=("seven",)) for number in range(12)]
    right, wrong = Said("seven"), Said("eight")
    found = compute_results(
        run(
            asked,
            {
                "small": [wrong] * 12,
                "large": [right] * 8 + [wrong] * 4,
                "huge": [right] * 11 + [wrong],
            },
        )
    )
    arms = ("large", "huge")
    correct = [delta(found, "correct", arm) for arm in arms]
    assert [each.p_adjusted for each in correct] == pytest.approx(holm([each.p for each in correct]))
    others = [
        delta(found, each.metric, arm)
        for each in found.metrics
        if (each.scope, each.family, each.primary) == ("overall", "quality", False)
        for arm in arms
    ]
    assert {each.metric for each in found.metrics if each.primary} == {"correct", "e2el"}
    assert len(others) == 6  # exact match, token F1 and abstention errors, of two arms each
    assert [each.p_adjusted for each in others] == pytest.approx(holm([each.p for each in others]))


def test_a_mark_is_corrected_over_the_whole_report() -> None:
    """Quality has 5 % alone, all else shares 1 %: a p of 1 % of a secondary metric marks nothing."""
    asked = [*ten("a"), *ten("b"), *ten("c")]
    slow = Said("It is 7, I think.", e2el=1100)
    found = compute_results(
        run(asked, {"small": [WRONG] * 8 + [RIGHT] * 22, "large": [RIGHT] * 21 + [slow] * 8 + [RIGHT]})
    )
    quality, words = delta(found, "correct"), delta(found, "words")
    assert (quality.p_report, quality.detectable) == (quality.p, True)
    assert words.p < words.p_adjusted < 0.05 < words.p_report
    assert (words.detectable, words.better) == (False, None)
    assert words.verdict.startswith("No detectable difference")
    ratio = next(one for one in found.ratios if one.metric == "e2el" and one.scope == "overall")
    assert ratio.p_report == pytest.approx(min(1.0, ratio.p / 0.08))
    assert delta(found, "e2el").p_report >= ratio.p_report


def test_a_data_set_of_several_is_exploratory_and_claims_nothing() -> None:
    asked = [question(f"q{number}", dataset=name) for name in ("one", "two") for number in range(15)]
    found = compute_results(run(asked, {"small": [WRONG] * 30, "large": [RIGHT] * 30}))
    assert delta(found, "correct").detectable
    below = [one for one in found.metrics if one.scope != "overall"]
    assert {one.scope for one in below} == {"one", "two"}
    assert all(one.exploratory for one in below)
    assert not any(each.detectable or each.better is not None for one in below for each in one.deltas)
    said = [each.verdict for one in below for each in one.deltas]
    assert all(sentence.startswith("Exploratory, not corrected over the report: ") for sentence in said)
    assert {ratio.p_report for ratio in found.ratios if ratio.scope != "overall"} == {None}


def test_the_verdict_says_quality_and_latency_at_once() -> None:
    slow = Said("It is 7.", e2el=3100)
    better = compute_results(
        run([*ten("a"), *ten("b")], {"small": [WRONG] * 20, "large": [slow] * 15 + [WRONG] * 5})
    )
    [said] = better.verdicts
    assert said.startswith("large is better than small in correct by 75.0 points (n = 20, ")
    assert ", and takes 2.3 times as long (E2EL, n = 20, 95% interval " in said
    same = compute_results(run(ten(), {"small": [RIGHT] * 10, "large": [slow] * 10}))
    [said] = same.verdicts
    assert said.startswith("No detectable difference in correct between large and small (n = 10, ")
    assert "; large takes 3.1 times as long" in said


def test_a_longer_answer_is_neither_better_nor_worse() -> None:
    chatty = Said("It is, as far as I can see from here and after some thought, surely 7.")
    found = compute_results(
        run([*ten("a"), *ten("b"), *ten("c")], {"small": [RIGHT] * 30, "large": [chatty] * 30})
    )
    each = delta(found, "words")
    assert (each.detectable, each.better) == (True, None)
    assert each.verdict.startswith("large is higher than small in answer length by 13.0 words")


def test_warnings_name_what_weakens_the_comparison() -> None:
    crowded = Said("It is 7.", degraded=("reranking",))
    found = compute_results(
        run(ten(), {"small": [RIGHT] * 10, "large": [crowded] * 10}, serial=False, concurrency=4, cold=False)
    )
    said = "\n".join(found.warnings)
    assert "10 answers of large had to do without reranking" in said
    assert "large and small have every question right" in said
    assert "n = 10 is a small sample" in said
    assert "up to 4 requests ran at once" in said
    assert "prefix caches" in said


def test_one_question_is_enough_for_results_and_too_few_to_compare() -> None:
    found = compute_results(run([question("a")], {"small": [WRONG], "large": [RIGHT]}))
    assert delta(found, "correct").p == 1
    assert "n = 1 is too small a sample to compare large with small in correct" in "\n".join(found.warnings)


def test_questions_without_a_known_answer_have_no_right_ones() -> None:
    found = compute_results(
        run([question("a", kind="free", answers=())], {"small": [RIGHT], "large": [WRONG]})
    )
    assert "correct" not in {each.metric for each in found.metrics}
    assert found.abstention == ()
    assert "no question has a known answer" in found.warnings[0]
    assert found.verdicts[0].startswith(
        "large, compared with small, shows no detectable difference in E2EL (1.00 times as long, n = 1)"
    )


def test_any_arm_can_be_the_baseline() -> None:
    found = compute_results(by_hand(), "large")
    assert delta(found, "correct", "small").difference == -0.4
    with pytest.raises(InvalidRequest, match="no arm 'tiny': it has small, large"):
        compute_results(by_hand(), "tiny")


def test_the_order_of_records_makes_no_difference() -> None:
    made = by_hand()
    generator = random.Random(5)
    mixed = made.model_copy(
        update={
            "answers": tuple(generator.sample(made.answers, len(made.answers))),
            "contexts": tuple(generator.sample(made.contexts, len(made.contexts))),
        }
    )
    assert encode_results(compute_results(mixed)) == encode_results(compute_results(made))
    assert encode_results(
        Results.model_validate_json(encode_results(compute_results(made)))
    ) == encode_results(compute_results(made))


def test_what_was_changed_after_the_run_is_noticed() -> None:
    made = by_hand()
    first = made.contexts[0]
    altered = first.context.model_copy(
        update={"passages": [first.context.passages[0].model_copy(update={"text": "The number is 3."})]}
    )
    with pytest.raises(InvalidRequest, match="passages of 'mine/q0' are not those of its context_id"):
        compute_results(
            made.model_copy(
                update={"contexts": (first.model_copy(update={"context": altered}), *made.contexts[1:])}
            )
        )
    answer = made.answers[0]
    other = answer.model_copy(update={"reply": answer.reply.model_copy(update={"context_id": "f" * 64})})
    with pytest.raises(InvalidRequest, match="small answered 'mine/q0' from another context"):
        compute_results(made.model_copy(update={"answers": (other, *made.answers[1:])}))
    reworded = answer.model_copy(update={"reply": answer.reply.model_copy(update={"content": "It's 7."})})
    assert (
        compute_results(made.model_copy(update={"answers": (reworded, *made.answers[1:])})).bundle
        != compute_results(made).bundle
    )


def test_figures_have_nine_digits() -> None:
    found = compute_results(by_hand())
    each = rate(found, "correct", "small")
    assert each.low is not None
    assert len(f"{each.low!r}".lstrip("0.")) <= 9
    assert all(math.isfinite(value) for each in found.questions for value in each.scores.values())


def test_an_arm_that_never_answers_has_lost_and_has_no_latency() -> None:
    found = compute_results(
        run(ten(), {"small": [RIGHT] * 10, "large": [Said(error="service_unavailable")] * 10})
    )
    assert rate(found, "correct", "large").value == 0
    assert [each.arm for each in metric(found, "e2el").rates] == ["small"]
    assert metric(found, "e2el").deltas == ()
    assert found.ratios == ()
    assert found.verdicts[0].startswith("large is worse than small in correct by 100.0 points")
    assert set(found.stages[1].stages.values()) == {None}


def test_one_arm_alone_is_measured_and_compared_with_nothing() -> None:
    found = compute_results(run(ten(), {"small": [RIGHT] * 10}))
    assert rate(found, "correct", "small").value == 1
    assert (found.verdicts, found.ratios) == ((), ())
    assert {each.deltas for each in found.metrics} == {()}
