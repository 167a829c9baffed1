"""Simulates rates and differences that few marks of people and a scorer's of all come to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipelines.evaluation.statistics.ppi import label_powered_mean
from tests.bench.simulations import Plan, Row, make_row

CASES = (
    ("a good scorer", 200, 30, 1, 0.05),
    ("a bad scorer", 200, 30, 1, 0.35),
    ("a good scorer, pairs of questions", 300, 60, 2, 0.05),
    ("a good scorer, half of the answers marked", 80, 40, 1, 0.05),
)
"""What is scored, answers, marks, questions of a cluster, how often a wrong answer is let pass."""
FOURTH = 4
"""One of so many simulations of the plan: each is dear."""


def simulate(plan: Plan) -> Iterator[Row]:
    """Yield the coverage of the intervals; the truth is a rate of 0.6."""
    for what, n, marks, size, errs in CASES:
        generator = np.random.default_rng([n, marks, size])
        covered = [
            _covers(generator, n, marks, size, errs) for _ in range(max(1, plan.simulations // FOURTH))
        ]
        name = f"people's marks of {marks} of {n} answers, {what}: coverage"
        yield make_row(name, covered, 0.935, 0.98)


def _covers(generator: np.random.Generator, n: int, marks: int, size: int, errs: float) -> bool:
    groups = n // size
    cluster = np.repeat(np.arange(groups), size)
    chance = generator.beta(6, 4, groups)[cluster] if size > 1 else np.full(n, 0.6)
    right = (generator.random(n) < chance) * 1.0
    passed = np.where(generator.random(n) < errs, np.where(right > 0, 0.0, 1.0), right)
    passed = np.where((right == 0) & (generator.random(n) < errs), 1.0, passed)
    marked = np.isin(cluster, generator.permutation(groups)[: marks // size])
    labels = [float(value) if known else None for value, known in zip(right, marked, strict=True)]
    names = [f"c{index}" for index in cluster]
    found = label_powered_mean(passed.tolist(), labels, names)
    return found is not None and found.low <= 0.6 <= found.high
