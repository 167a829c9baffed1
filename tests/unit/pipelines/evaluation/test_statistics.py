"""Each statistic against a figure worked out by hand or by another library."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from pipelines.evaluation.statistics import (
    Score,
    adjust_together,
    compare,
    describe_difference,
    detectable_mean,
    detectable_proportion,
    format_p,
    holm,
    mcnemar,
    mean_interval,
    pair,
    percentile,
    proportion_interval,
    questions_needed,
    samples_needed,
    score_interval,
    share_interval,
)
from pipelines.evaluation.statistics.bootstrap import interval
from pipelines.evaluation.statistics.flips import cluster_error, flip_interval
from pipelines.evaluation.statistics.intervals import score_statistic
from pipelines.evaluation.statistics.paired import sum_by_cluster
from services.core.errors import InvalidRequest
from tests.soak import rounds


def scores(values, clusters=None):
    names = clusters or [""] * len(values)
    return [Score(f"q{index}", float(value), names[index]) for index, value in enumerate(values)]


def paired_of(gained, lost, alike):
    left = [0] * gained + [1] * lost + [1] * alike
    right = [1] * gained + [0] * lost + [1] * alike
    return pair(scores(left), scores(right))


def test_repeats_are_averaged_within_their_question_first() -> None:
    baseline = [Score("a", 1.0), Score("a", 0.0), Score("b", 1.0), Score("only here", 1.0)]
    candidate = [Score("b", 0.0), Score("a", 1.0), Score("a", 1.0), Score("a", 0.0)]
    paired = pair(baseline, candidate)
    assert paired.questions == ("a", "b")
    assert paired.baseline.tolist() == [0.5, 1.0]
    assert paired.candidate.tolist() == pytest.approx([2 / 3, 0.0])
    assert (paired.unpaired, paired.binary, paired.clustered) == (1, False, False)


def test_clusters_are_numbered_and_unnamed_questions_stand_alone() -> None:
    paired = pair(scores([1, 0, 1, 1], ["x", "", "x", ""]), scores([1, 1, 0, 1], ["x", "", "x", ""]))
    assert paired.cluster.tolist() == [0, 1, 0, 2]
    assert paired.clusters == 3
    assert paired.clustered


@pytest.mark.parametrize(
    ("baseline", "candidate", "message"),
    [
        ([Score("a", 1.0)], [Score("b", 1.0)], "no question in common"),
        ([Score("a", 1.0, "x")], [Score("a", 1.0, "y")], "two clusters"),
        ([Score("a", 1.0, "x"), Score("a", 1.0, "y")], [Score("a", 1.0, "x")], "two clusters"),
        ([Score("a", math.nan)], [Score("a", 1.0)], "finite"),
    ],
)
def test_scores_that_cannot_be_paired_say_why(baseline, candidate, message) -> None:
    with pytest.raises(InvalidRequest, match=message):
        pair(baseline, candidate)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (5, 0), (1, 9), (12, 12), (30, 14), (200, 150)])
def test_mcnemar_agrees_with_scipy_and_statsmodels(gained: int, lost: int) -> None:
    p = mcnemar(gained, lost)
    if gained + lost:
        assert p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)
        assert p == pytest.approx(min(1.0, 2 * stats.binom.cdf(min(gained, lost), gained + lost, 0.5)))
    assert p == pytest.approx(statsmodels_mcnemar([[7, lost], [gained, 9]], exact=True).pvalue)


def test_mcnemar_by_hand() -> None:
    # 5 of 5 discordant pairs one way: 2 / 2^5
    assert mcnemar(5, 0) == mcnemar(0, 5) == pytest.approx(1 / 16)


def test_swapping_the_arms_is_mcnemar_where_answers_are_right_or_wrong() -> None:
    """With ties counted half, as the sums of zeros and ones often tie."""
    paired = paired_of(14, 5, 40)
    sums, sizes = sum_by_cluster(paired.differences, paired.cluster, paired.clusters)
    half = mcnemar(14, 5) - stats.binom.pmf(5, 19, 0.5)
    assert flip_interval(sums, sizes, seed=1, resamples=50_000).p == pytest.approx(half, abs=0.005)


def test_swapping_few_clusters_is_exact() -> None:
    """Of 6 clusters with one sign 2 of 64 arrangements are as far out, of 5 clusters 2 of 32."""
    sums, sizes = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), np.array([1.0, 4.0, 2.0, 3.0, 9.0, 5.0])
    found = flip_interval(sums, sizes, seed=0, resamples=100)
    assert found.p == pytest.approx(2 / 64)
    assert (found.low, found.high) == (pytest.approx(1 / 4), pytest.approx(3.0))
    assert flip_interval(-sums, sizes, seed=0, resamples=100).high == pytest.approx(-1 / 4)
    few = flip_interval(sums[:5], sizes[:5], seed=0, resamples=100)
    assert (few.low, few.high, few.p) == (None, None, pytest.approx(2 / 32))


@pytest.mark.parametrize("clusters", [8, 40])
def test_the_interval_of_swapping_agrees_with_its_p(clusters: int) -> None:
    generator = np.random.default_rng(clusters)
    seen = set()
    for seed in range(100):
        sums = generator.integers(-2, 5, size=clusters).astype(float)
        found = flip_interval(sums, np.full(clusters, 4.0), seed=seed, resamples=500)
        assert (found.low <= 0 <= found.high) == (found.p > 0.05)
        seen.add(found.p > 0.05)
    assert seen == {True, False}


def test_uneven_clusters_know_less() -> None:
    even = cluster_error(np.array([1.0, -1.0, 2.0, -2.0]), np.full(4, 5.0))
    assert even.freedom == pytest.approx(3.0)
    assert even.error == pytest.approx(stats.sem([0.2, -0.2, 0.4, -0.4]))
    uneven = cluster_error(np.array([1.0, -1.0, 2.0, -2.0]), np.array([1.0, 1.0, 1.0, 17.0]))
    assert uneven.freedom < 1.5


def test_a_sample_that_carries_nothing_says_so() -> None:
    """With 4 clusters no p is under 5 %, and of shares nothing is over 100 points."""
    four = [f"c{index // 3}" for index in range(12)]
    wild = [0.0, 1.0] * 6
    found = compare("token F1", pair(scores([0.4] * 12, four), scores([0.9, 0.2, 0.7] * 4, four)))
    assert found.smallest_detectable is None
    said = describe_difference(found, baseline="A", candidate="B")
    assert said.endswith("this sample is too small to show any.")
    tiny = compare("supported", pair(scores([0.0, 1.0] * 3), scores([1.0, 0.1] * 2 + [0.9, 0.0])))
    assert tiny.smallest_detectable is None
    assert compare("correct", pair(scores(wild, four), scores(wild[::-1], four))).smallest_detectable is None


def test_what_no_draw_reaches_is_told_by_student_s_t() -> None:
    """10,000 draws know no p under 0.0002, and a correction over a report asks for less."""
    values = np.random.default_rng(4).normal(1.0, 0.5, size=60)
    found = compare("token F1", pair(scores([0.0] * 60), scores(values)), amounts=True)
    assert 2.0**-59 <= found.p < 1e-12


@pytest.mark.soak
@settings(max_examples=rounds(20, 200), deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(p: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gc.collect", lambda: 0)  # which it asks for at each call: half a second here
        expected = list(multipletests(p, method="holm")[1])
    assert holm(p) == pytest.approx(expected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize(
    ("difference", "discordance", "questions"), [(0.10, 0.25, 194), (0.05, 0.20, 626), (-0.03, 0.15, 1306)]
)
def test_questions_that_a_difference_needs(difference: float, discordance: float, questions: int) -> None:
    assert questions_needed(difference, discordance) == questions
    assert detectable_proportion(questions, discordance) == pytest.approx(abs(difference), rel=0.002)


@pytest.mark.parametrize(
    ("n", "discordance", "points"), [(500, 0.25, 6.25), (270, 0.30, 9.3), (30, 0.10, 24.2)]
)
def test_the_smallest_difference_that_questions_show(n: int, discordance: float, points: float) -> None:
    # the last: a difference of 24 points cannot be had with a discordance of 10 %, so that counts as 24 %
    assert detectable_proportion(n, discordance) == pytest.approx(points / 100, abs=0.0006)


def test_power_of_mcnemar_at_the_computed_size() -> None:
    """The size is for 80 %: the exact test, simulated, reaches it nearly, and never by far more."""
    generator = np.random.default_rng(5)
    cells = generator.multinomial(194, [0.175, 0.075, 0.75], size=4_000)
    found = np.mean([mcnemar(int(gained), int(lost)) <= 0.05 for gained, lost, _ in cells])
    assert 0.74 < found < 0.83


def test_too_few_questions_show_nothing() -> None:
    assert detectable_proportion(3, 0.25) is None
    assert detectable_mean(0.1, 1) is None
    with pytest.raises(ValueError, match="needs a discordance"):
        questions_needed(0.3, 0.2)


def test_the_smallest_difference_of_means_is_the_t_test_s() -> None:
    # 30 pairs, standard error 1/sqrt(30): Cohen's d of a paired t test at 80 % power is 0.53
    assert detectable_mean(1 / math.sqrt(30), 30) == pytest.approx(0.53, abs=0.01)


@pytest.mark.parametrize(("level", "needed"), [(0.95, 72), (0.99, 368), (0.5, 6), (0.05, 72)])
def test_percentiles_need_samples(level: float, needed: int) -> None:
    assert samples_needed(level) == needed
    short = percentile(range(needed - 1), level)
    assert short.insufficient
    assert short.value is None
    assert str(short) == f"insufficient (n = {needed - 1}, needs {needed})"
    enough = percentile(range(needed), level)
    assert not enough.insufficient
    assert enough.low <= enough.value <= enough.high


def test_the_median_s_interval_is_the_textbook_s() -> None:
    # Conover, table of the sign test: n = 10 gives x_(2) to x_(9) at 97.9 %, the first above 95 %
    found = percentile([float(value) for value in range(1, 11)], 0.5)
    assert (found.low, found.value, found.high) == (2.0, 5.5, 9.0)


@pytest.mark.parametrize(("n", "level"), [(80, 0.95), (150, 0.95), (60, 0.5), (400, 0.99)])
def test_percentile_intervals_cover_at_least_as_often_as_they_say(n: int, level: float) -> None:
    generator = np.random.default_rng(n)
    truth = stats.expon.ppf(level)
    found = [percentile(sample, level) for sample in generator.exponential(size=(1_500, n))]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.94
    assert np.mean([truth < each.low for each in found]) <= 0.035
    assert np.mean([truth > each.high for each in found]) <= 0.035


@pytest.mark.parametrize(("clusters", "size", "level"), [(80, 4, 0.95), (40, 3, 0.5)])
@pytest.mark.parametrize("shared", [0.0, 0.6, 1.0])
def test_percentile_intervals_cover_with_clusters(
    clusters: int, size: int, level: float, shared: float
) -> None:
    """Repeats of a question are no new questions: taken for such, the intervals cover 55 to 90 %."""
    generator = np.random.default_rng(clusters)
    names = [str(number) for number in range(clusters) for _ in range(size)]
    truth = stats.norm.ppf(level)
    covered = 0
    for _ in range(300):
        common = np.repeat(generator.normal(size=clusters), size)
        own = generator.normal(size=clusters * size)
        found = percentile(math.sqrt(shared) * common + math.sqrt(1 - shared) * own, level, names)
        assert found.n == clusters
        covered += found.low <= truth <= found.high
    assert covered / 300 >= 0.92  # 95 % less 2.5 standard errors of 300 draws


def test_proportions_have_wilson_s_interval() -> None:
    assert proportion_interval(7, 20) == pytest.approx(proportion_confint(7, 20, method="wilson"))
    assert proportion_interval(0, 20)[1] > 0.1
    assert proportion_interval(0, 0) is None


def test_a_share_without_clusters_has_wilson_s_interval_with_t() -> None:
    for right, n in ((30, 100), (97, 100), (0, 40), (40, 40)):
        found = share_interval([1.0] * right + [0.0] * (n - right))
        assert found == pytest.approx(proportion_interval(right, n), abs=0.006)
    assert share_interval([1.0]) is None
    assert share_interval([1.0] * 9, ["one"] * 9) is None
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        share_interval([3.0, 1.0])


def test_a_share_of_clusters_counts_them_not_their_questions() -> None:
    """Ten clusters of five questions each, all of a cluster right or wrong: ten questions' worth."""
    values = [float(cluster < 7) for cluster in range(10) for _ in range(5)]
    names = [f"c{cluster}" for cluster in range(10) for _ in range(5)]
    assert share_interval(values, names) == pytest.approx(share_interval(values[::5]), abs=1e-9)
    assert share_interval([1.0] * 50, names) == pytest.approx(share_interval([1.0] * 10))


def test_a_share_of_graded_scores_has_the_t_interval_where_it_is_far_from_the_ends() -> None:
    values = np.random.default_rng(4).beta(20, 20, size=200)
    low, high = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert share_interval(values) == pytest.approx((low, high), abs=0.0005)


unit_scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=24)


@pytest.mark.soak
@settings(max_examples=rounds(20, 300), deadline=None)
@given(unit_scores, st.lists(st.integers(0, 4), min_size=24, max_size=24))
def test_an_interval_stays_within_what_there_is(values: list[float], group: list[int]) -> None:
    """Shares within 0 and 1, around the share; differences within -1 and 1; amounts within their sample."""
    names = [f"c{each}" for each in group[: len(values)]]
    for clusters in (None, names):
        found = share_interval(values, clusters)
        assert found is None or 0 <= found[0] <= np.mean(values) <= found[1] <= 1
        opposite = [1 - round(value) for value in values]
        other = compare("m", pair(scores(values, clusters), scores(opposite, clusters)), resamples=200)
        assert other.low is None or -1 <= other.low <= other.high <= 1
        amount = mean_interval([40 * value for value in values], clusters, resamples=200)
        assert amount.low is None or 40 * min(values) <= amount.low <= amount.high <= 40 * max(values)


def test_where_all_is_gained_the_interval_ends_at_all() -> None:
    for count in (8, 20, 40):
        found = compare("exact match", paired_of(count, 0, 0))
        assert (found.low, found.high) == pytest.approx(score_interval(count, 0, count))
        assert 0 < found.low < found.high == 1


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0, "< 0.001"), (0.00099, "< 0.001"), (0.001, "= 0.001"), (0.0346, "= 0.035"), (1, "= 1.000")],
)
def test_a_p_is_never_told_as_nothing(p: float, said: str) -> None:
    assert format_p(p) == said


def test_the_interval_of_a_mean_is_the_t_interval_where_that_is_right() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, size=40)
    found = mean_interval(values, resamples=40_000)
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.06), pytest.approx(high, abs=0.06))
    assert found.error == pytest.approx(stats.sem(values), rel=0.02)


def test_the_interval_and_its_p_agree_exactly() -> None:
    generator = np.random.default_rng(3)
    seen = set()
    for index in range(400):
        values = generator.normal(0.3, 1.0, size=30)
        found = mean_interval(values, seed=index, resamples=500)
        outside = not found.low <= 0 <= found.high
        assert outside == (found.p <= 0.05)
        seen.add(outside)
    assert seen == {True, False}


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    paired = paired_of(30, 18, 100)
    assert compare("exact match", paired, seed=4) == compare("exact match", paired, seed=4)
    assert compare("exact match", paired, seed=4).low is not None
    values = np.random.default_rng(0).normal(size=50)
    assert mean_interval(values, seed=1).low != mean_interval(values, seed=2).low


def test_a_cluster_repeated_is_no_news() -> None:
    """Every question asked ten times under one cluster each: the interval stays, where it would shrink."""
    values = np.random.default_rng(1).normal(0.2, 1.0, size=25)
    once = mean_interval(values, seed=1)
    clusters = [f"c{index}" for index in range(25) for _ in range(10)]
    tenfold = mean_interval(np.repeat(values, 10), clusters, seed=1)
    blind = mean_interval(np.repeat(values, 10), seed=1)
    assert (tenfold.low, tenfold.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert blind.high - blind.low < 0.5 * (once.high - once.low)


@pytest.mark.parametrize("clusters", [1, 2, 3])
def test_few_clusters_have_no_interval(clusters: int) -> None:
    found = mean_interval([1.0, 0.9, 1.1, 1.0, 0.8, 1.2], [f"c{index % clusters}" for index in range(6)])
    assert (found.low, found.high) == (None, None)
    assert found.p > 0.05


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no value"):
        mean_interval([])
    with pytest.raises(InvalidRequest, match="2 values have 1 clusters"):
        mean_interval([1.0, 2.0], ["a"])


def test_a_difference_tells_all_that_a_reader_needs() -> None:
    found = compare("exact match", paired_of(40, 10, 150))
    assert (found.n, found.clusters, found.test) == (200, 200, "bootstrap")
    assert (found.baseline, found.candidate) == (0.8, 0.95)
    assert found.difference == pytest.approx(0.15)
    assert 0 < found.low < 0.15 < found.high
    assert found.discordant.p == pytest.approx(2.4e-5, rel=0.05)
    assert found.smallest_detectable == pytest.approx(detectable_proportion(200, 51 / 202))
    assert found.better is True
    assert describe_difference(found, baseline="A", candidate="B") == (
        "B is better than A in exact match by 15.0 points (n = 200, 95% interval "
        f"{100 * found.low:+.1f} to {100 * found.high:+.1f} points, p < 0.001, 40 gained and 10 lost)."
    )


def test_no_detectable_difference_says_what_would_have_been() -> None:
    found = compare("exact match", paired_of(6, 4, 20))
    assert found.better is None
    said = describe_difference(found, baseline="A", candidate="B")
    assert said.startswith("No detectable difference in exact match between B and A (n = 30, ")
    assert said.endswith(
        f"the smallest detectable difference is {100 * found.smallest_detectable:.1f} points."
    )


def test_five_of_five_is_not_yet_detectable() -> None:
    """The bootstrap alone would say so (p = 0.01); McNemar's exact p is 1/16."""
    paired = paired_of(5, 0, 45)
    spread = interval(paired.differences, paired.cluster, paired.clusters, seed=0)
    assert spread.p < 0.05
    found = compare("exact match", paired)
    assert (found.test, found.p) == ("mcnemar", pytest.approx(1 / 16))
    assert not found.detectable
    # the interval does not leave out what the test does not
    assert (found.low, found.high) == (0.0, pytest.approx(score_interval(5, 0, 50)[1]))


def test_arms_that_agree_everywhere_show_no_difference_and_do_not_boast() -> None:
    found = compare("exact match", paired_of(0, 0, 50))
    assert (found.difference, found.p) == (0.0, 1.0)
    assert (found.low, found.high) == pytest.approx(score_interval(0, 0, 50))
    assert found.smallest_detectable == pytest.approx(0.15, abs=0.03)
    graded = compare("token F1", pair(scores([0.5] * 20), scores([0.5] * 20)))
    assert (graded.low, graded.high, graded.smallest_detectable) == (None, None, None)
    assert "does not tell" in describe_difference(graded, baseline="A", candidate="B")


def test_amounts_of_nothing_are_no_wrong_answers() -> None:
    """No thinking tokens in either arm: nothing is discordant, and nothing is known of a spread."""
    found = compare("reasoning tokens", pair(scores([0] * 20), scores([0] * 20)), amounts=True)
    assert (found.discordant, found.low, found.high, found.smallest_detectable) == (None, None, None, None)


def test_a_corrected_p_is_told_as_such() -> None:
    alone = compare("exact match", paired_of(9, 8, 100))
    [together, _] = adjust_together([compare("exact match", paired_of(15, 4, 100)), alone])
    assert "points, p = 0.0" in describe_difference(together, baseline="A", candidate="B")
    assert "after Holm's correction" in describe_difference(together, baseline="A", candidate="B")
    assert "Holm" not in describe_difference(alone, baseline="A", candidate="B")


def test_lower_can_be_better() -> None:
    generator = np.random.default_rng(6)
    baseline = generator.normal(900, 50, size=60)
    found = compare(
        "E2EL",
        pair(scores(baseline), scores(baseline + generator.normal(80, 40, size=60))),
        higher_is_better=False,
    )
    assert found.better is False
    assert " A in E2EL by 7" in describe_difference(
        found, baseline="A", candidate="B", unit="ms"
    ) or " A in E2EL by 8" in describe_difference(found, baseline="A", candidate="B", unit="ms")


def test_a_family_is_adjusted_together() -> None:
    alone = compare("exact match", paired_of(15, 4, 100))
    assert alone.detectable
    together = adjust_together([alone, *(compare(f"metric {k}", paired_of(9, 8, 100)) for k in range(9))])
    assert together[0].p == alone.p
    assert together[0].p_adjusted == pytest.approx(10 * alone.p)
    assert not together[0].detectable


def test_clusters_make_the_smallest_detectable_difference_larger() -> None:
    clusters = [f"c{index // 10}" for index in range(200)]
    left = [0] * 200
    right = [int((index // 10) % 3 == 0) for index in range(200)]
    blind = compare("exact match", pair(scores(left), scores(right)))
    aware = compare("exact match", pair(scores(left, clusters), scores(right, clusters)))
    assert (aware.test, blind.test) == ("sign-flip", "bootstrap")
    assert aware.smallest_detectable > 2 * blind.smallest_detectable


def test_the_gateway_needs_none_of_it() -> None:
    """Nor the SDK of `/mcp` before it is asked there."""
    code = (
        "import sys; from services.gateway.app import create; from services.gateway.settings import Settings; "
        "create(Settings()); raise SystemExit({'scipy', 'mcp'} & sys.modules.keys() != set())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_score_interval_does_not_shrink_to_a_point_where_no_pair_is_discordant() -> None:
    square = float(stats.norm.ppf(0.975)) ** 2
    for n in (5, 40, 1000):
        half = square / (n + square)
        assert score_interval(0, 0, n) == pytest.approx((-half, half))
    assert score_interval(10, 0, 10)[1] == 1.0
    assert score_interval(0, 10, 10)[0] == -1.0


@pytest.mark.parametrize(("gained", "lost", "n"), [(5, 1, 10), (0, 3, 10), (12, 2, 120)])
def test_the_score_statistic_is_at_the_likeliest_shares(gained: int, lost: int, n: int) -> None:
    """At each end of the interval, with the shares found by maximising the likelihood numerically."""
    for end in score_interval(gained, lost, n):

        def unlikely(share: float, end: float = end) -> float:
            shares = (share + end, share, 1 - 2 * share - end)
            return -sum(
                count * math.log(max(each, 1e-300))
                for count, each in zip((gained, lost, n - gained - lost), shares, strict=True)
                if count
            )

        bounds = (max(0.0, -end), (1 - end) / 2)
        share = optimize.minimize_scalar(
            unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-10}
        ).x
        z = (gained - lost - n * end) / math.sqrt(n * (2 * share + end * (1 - end)))
        assert abs(z) == pytest.approx(1.959964, rel=1e-3)
        assert score_statistic(end, gained, lost, n) == pytest.approx(z, rel=1e-3)


def test_the_score_interval_covers_the_difference() -> None:
    generator = np.random.default_rng(7)
    for n, gain, loss in ((40, 0.1, 0.05), (200, 0.15, 0.05)):
        counts = generator.multinomial(n, [gain, loss, 1 - gain - loss], size=2000)
        held = [low <= gain - loss <= high for low, high in (score_interval(b, c, n) for b, c, _ in counts)]
        assert 0.93 <= sum(held) / len(held) <= 0.97
