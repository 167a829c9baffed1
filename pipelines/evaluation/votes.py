"""What votes and thumbs show: shares of preference, with intervals that count people. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from pipelines.evaluation.statistics import share_interval
from services.core.wire.feedback import Feedback


@dataclass(frozen=True)
class Share:
    """A share of `n` judgements by `people`; the 95 % interval is None where only one person judged."""

    value: float
    n: int
    people: int
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Duel:
    """Two arms that people chose between.

    `preferred` is the share of the decided votes that `one` won, None where none was decided; `blind` counts
    the votes whose arms were hidden.
    """

    one: str
    other: str
    won: int
    lost: int
    both: int
    neither: int
    blind: int
    preferred: Share | None


@dataclass(frozen=True)
class Votes:
    duels: Sequence[Duel]
    thumbs: dict[str, Share]


@dataclass
class _Tally:
    wins: list[tuple[float, str]] = field(default_factory=list)
    both: int = 0
    neither: int = 0
    blind: int = 0


def summarise(feedback: Iterable[Feedback]) -> Votes:
    """Count votes for each pair of arms, and thumbs for each arm.

    Votes of one person are not independent: the interval is `share_interval`'s, with people as clusters.
    Those without a person count as one person's, which is the careful reading.
    """
    tallies: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)
    thumbs: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for item in feedback:
        if len(item.answers) == 1:
            thumbs[item.answers[0].arm].append((float(item.choice == "up"), item.person))
            continue
        for first, second in combinations(range(len(item.answers)), 2):
            _count(item, first, second, tallies)
    return Votes(
        duels=[_close(pair, tally) for pair, tally in sorted(tallies.items())],
        thumbs={arm: _share(values) for arm, values in sorted(thumbs.items())},
    )


def _count(item: Feedback, first: int, second: int, tallies: defaultdict[tuple[str, str], _Tally]) -> None:
    names = item.answers[first].arm, item.answers[second].arm
    if names[0] == names[1] or (isinstance(item.choice, int) and item.choice not in {first, second}):
        return
    one, other = sorted(names)
    tally = tallies[one, other]
    tally.blind += item.blind
    if item.choice == "both":
        tally.both += 1
    elif item.choice == "neither":
        tally.neither += 1
    else:
        winner = names[0] if item.choice == first else names[1]
        tally.wins.append((float(winner == one), item.person))


def _close(pair: tuple[str, str], tally: _Tally) -> Duel:
    won = sum(int(value) for value, _ in tally.wins)
    return Duel(
        *pair,
        won=won,
        lost=len(tally.wins) - won,
        both=tally.both,
        neither=tally.neither,
        blind=tally.blind,
        preferred=_share(tally.wins) if tally.wins else None,
    )


def _share(values: Sequence[tuple[float, str]]) -> Share:
    scores, people = [value for value, _ in values], [person for _, person in values]
    return Share(
        sum(scores) / len(scores), len(scores), len(set(people)), share_interval(scores, clusters=people)
    )
