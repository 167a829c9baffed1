"""A judge's section: its verdicts by arm, and the figures that say what they are worth, ready to read."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.evaluation.report.units import NOTHING, interval, p_value, points, share
from pipelines.evaluation.results import Counted, JudgedArm, JudgeResult


@dataclass(frozen=True, slots=True)
class Worth:
    """One figure: `value` with its interval, over `n`; `kappa` empty where it has none."""

    name: str
    value: str
    spread: str
    n: str
    kappa: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Preferred:
    arm: str
    counts: str
    """Won, tied and lost."""
    difference: str
    spread: str
    p: str
    n: str
    smallest: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Judging:
    worth: tuple[Worth, ...]
    arms: tuple[Preferred, ...]


def judging(found: JudgeResult | None) -> Judging | None:
    if found is None:
        return None
    return Judging(
        worth=(
            _worth(
                "changes with the order",
                found.flips,
                "pairs whose winner is another when the two answers change places; these count as ties",
                found.kappa,
            ),
            _worth(
                "takes the one shown first",
                found.first_shown,
                "verdicts for the answer that stood first, ties left out; one half is no bias",
            ),
            _worth(
                "says nothing that can be read", found.unread, "replies without a verdict; none is guessed at"
            ),
            _worth(
                "takes the right one",
                found.with_correct,
                "pairs in which its winner is the one that is right (neither: a tie)",
                found.kappa_correct,
            ),
            _worth(
                "takes the better supported one",
                found.with_supported,
                "pairs in which its winner has the greater share of supported claims (neither: a tie)",
                found.kappa_supported,
            ),
        ),
        arms=tuple(map(_preferred, found.arms)),
    )


def _worth(name: str, of: Counted, meaning: str, kappa: float | None = None) -> Worth:
    return Worth(
        name=name,
        value=share(of.count / of.n if of.n else None),
        spread=interval(of.low, of.high, ""),
        n=str(of.n),
        kappa=NOTHING if kappa is None else f"{kappa:.2f}".replace("-", "\N{MINUS SIGN}"),
        meaning=meaning,
    )


def _preferred(found: JudgedArm) -> Preferred:
    return Preferred(
        arm=found.arm,
        counts=f"{found.won} / {found.tied + found.alike} / {found.lost}",
        difference=points(found.difference),
        spread=interval(found.low, found.high, "", signed=True),
        p=NOTHING if found.p_adjusted is None else p_value(found.p_adjusted),
        n=str(found.n),
        smallest=points(found.smallest_detectable, signed=False),
        verdict="" if found.better is None else "better" if found.better else "worse",
    )
