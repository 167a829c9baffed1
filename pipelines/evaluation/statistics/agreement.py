"""How far two judgements of the same things agree, and how far a judge's follow the order it is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.evaluation.statistics.intervals import proportion_interval

Winner = Literal["one", "other", "tie"]


@dataclass(frozen=True, slots=True)
class CountedShare:
    """Holds `count` of `n`, with Wilson's 95 % interval; both are None where nothing was counted."""

    count: int
    n: int

    @property
    def share(self) -> float | None:
        return self.count / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        return proportion_interval(self.count, self.n)


def agreement(pairs: Iterable[tuple[str, str]]) -> CountedShare:
    """Count the pairs of labels that are the same."""
    labels = list(pairs)
    return CountedShare(sum(one == other for one, other in labels), len(labels))


def cohens_kappa(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Compute (p_o - p_e) / (1 - p_e), p_e by each side's own shares of the labels: Cohen (1960), "A
    Coefficient of Agreement for Nominal Scales".

    1: always the same, 0: as chance would have it; None without pairs, or where both sides give one and the
    same label throughout, of which kappa says nothing.
    """
    labels = list(pairs)
    if not labels:
        return None
    n = len(labels)
    mine, theirs = Counter(one for one, _ in labels), Counter(other for _, other in labels)
    observed = sum(one == other for one, other in labels) / n
    expected = sum(count * theirs[label] for label, count in mine.items()) / n**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def flip_rate(pairs: Sequence[tuple[Winner | None, Winner | None]]) -> CountedShare:
    """Count the pairs whose winner changes with the order in which the two are shown, among those judged in
    both.

    A tie in one order and a winner in the other is a flip too. 1 - consistency of Zheng et al. (2023),
    "Judging LLM-as-a-Judge", section 3.3.
    """
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    return CountedShare(sum(one != other for one, other in both), len(both))


def first_shown_rate(pairs: Sequence[tuple[Winner | None, Winner | None]]) -> CountedShare:
    """Count the verdicts for whichever was shown first, among those that are no tie: 0.5 is no bias by
    position.

    In the first order of a pair `one` is shown first, in the second one `other`.
    """
    won = [(winner, shown) for pair in pairs for winner, shown in zip(pair, ("one", "other"), strict=True)]
    decided = [(winner, shown) for winner, shown in won if winner in {"one", "other"}]
    return CountedShare(sum(winner == shown for winner, shown in decided), len(decided))


def consistent_winner(pair: tuple[Winner | None, Winner | None]) -> Winner | None:
    """Return the winner in both orders; a tie where they differ; None where either order has no verdict."""
    one, other = pair
    if one is None or other is None:
        return None
    return one if one == other else "tie"
