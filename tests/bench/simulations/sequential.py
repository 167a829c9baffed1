"""Simulates runs that stop by themselves, looked at after every question: false claims, coverage, questions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.statistics import questions_needed
from pipelines.evaluation.statistics.sequential import BoundedScores, log_capital
from pipelines.evaluation.swap.verdict import LEVEL
from tests.bench.simulations import Plan, Row, make_row

SHOWN = -math.log(LEVEL)
LARGEST = 8
"""Questions that a cluster has at most; it has 1 to so many."""
MEDIANS = 1_000
PLANS = ((0.05, 0.20), (0.10, 0.25), (0.03, 0.15))
"""Margins, and the shares of questions on which the arms differ."""


def draw_scores(
    generator: np.random.Generator, n: int, gain: float, differ: float = 0.3, *, clustered: bool = False
) -> BoundedScores:
    """Draw paired differences of right and wrong answers; questions of a cluster lean the same way."""
    if not clustered:
        values = _draw_differences(generator.random(n), gain, differ)
        return BoundedScores(values, np.ones(n), -1.0, 1.0, 1)
    sizes = generator.integers(1, LARGEST + 1, size=n)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), n)) + 1]
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    lean = generator.random(len(sizes))[cluster]
    draw = np.where(generator.random(len(cluster)) < 0.4, lean, generator.random(len(cluster)))
    sums = np.bincount(cluster, weights=_draw_differences(draw, gain, differ))
    return BoundedScores(sums, sizes.astype(float), -1.0, 1.0, LARGEST)


def _draw_differences(draw: NDArray[np.float64], gain: float, differ: float) -> NDArray[np.float64]:
    won = draw < (differ + gain) / 2
    return np.where(won, 1.0, np.where(draw > 1 - (differ - gain) / 2, -1.0, 0.0))


def simulate(plan: Plan) -> Iterator[Row]:
    """Yield claims that are false, coverage over all looks, and the questions until a policy is settled."""
    for n in plan.sizes:
        for clustered in (False, True):
            yield from _simulate_truths(plan.simulations, n, clustered=clustered)
    for margin, differ in PLANS:
        yield from _simulate_lengths(min(MEDIANS, plan.simulations), margin, differ)


def _simulate_truths(simulations: int, n: int, *, clustered: bool) -> Iterator[Row]:
    generator = np.random.default_rng([n, clustered])
    what = f"n = {n}{', clustered' if clustered else ''}, a look after every question"
    alarms, false_yes, covered = [], [], []
    for _ in range(simulations):
        alike = draw_scores(generator, n, 0.0, clustered=clustered)
        alarms.append(_is_shown(alike, 0.0, above=True) or _is_shown(alike, 0.0, above=False))
        loss = draw_scores(generator, n, -0.05, clustered=clustered)
        false_yes.append(_is_shown(loss, -0.05, above=True))
        gain = draw_scores(generator, n, 0.1, clustered=clustered)
        covered.append(not (_is_shown(gain, 0.1, above=True) or _is_shown(gain, 0.1, above=False)))
    yield make_row(f"sequential, false alarms, {what}", alarms, 0.0, 0.055)
    yield make_row(f"sequential, false yes at a loss of the margin, {what}", false_yes, 0.0, 0.03)
    yield make_row(f"sequential, coverage at all looks together, {what}", covered, 0.945, 1.0)


def _is_shown(scores: BoundedScores, threshold: float, *, above: bool) -> bool:
    return bool(log_capital(scores, threshold, above=above).max() >= SHOWN)


def _simulate_lengths(simulations: int, margin: float, differ: float) -> Iterator[Row]:
    """Yield the median of questions asked, as a share of those that a fixed test plans: 80 % power to show a
    difference of the margin, at the same share of differing questions."""
    fixed = questions_needed(margin, differ)
    for what, gain, threshold, above, most in (
        ("better, the gain is twice the margin", 2 * margin, 0.0, True, 0.5),
        ("not worse, the gain is twice the margin", 2 * margin, -margin, True, 0.5),
        ("lower, the loss is twice the margin", -2 * margin, 0.0, False, 0.5),
        ("worse by the margin, the loss is twice the margin", -2 * margin, -margin, False, 1.3),
        ("not worse, the arms are alike", 0.0, -margin, True, 1.3),
    ):
        generator = np.random.default_rng([fixed, above])
        shares = []
        for _ in range(simulations):
            scores = draw_scores(generator, 4 * fixed, gain, differ)
            reached = log_capital(scores, threshold, above=above) >= SHOWN
            shares.append((int(np.argmax(reached)) + 1 if reached.any() else math.inf) / fixed)
        middle = float(np.median(shares))
        spread = np.sort(shares)[
            [
                int(simulations / 2 - math.sqrt(simulations) / 2),
                int(simulations / 2 + math.sqrt(simulations) / 2),
            ]
        ]
        yield Row(
            f"sequential, questions to show {what}, as a share of the {fixed} that a fixed test needs "
            f"(margin {100 * margin:.0f} points, {differ:.0%} differ)",
            middle,
            float(spread[1] - spread[0]) / 2,
            0.0,
            most,
            simulations,
            ".2f",
        )
