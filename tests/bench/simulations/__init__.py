"""Simulated experiments that check what the statistics promise: `make bench-statistics`.

Each module of this folder has a function `simulate(plan)`, which yields a `Row` for each promise that it
checks. The folder is listed; nothing else names the modules. Seeds are fixed: the same plan gives the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

ALARMS, COVERAGE, POWER = (0.0, 0.055), (0.935, 0.98), (0.78, 0.85)
"""Where rates of false alarms, of coverage and of power shall lie, at a level of 5 % and a power of 80 %."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is simulated: the numbers of questions, and how many experiments a row is of.

    A module whose single experiment is dear may do a fixed share of `simulations`; its rows say how many.
    """

    sizes: tuple[int, ...] = (30, 100, 300)
    simulations: int = 2_000


@dataclass(frozen=True, slots=True)
class Row:
    """A promise and what was found: `measured` shall lie between `least` and `most`.

    `error` is the Monte-Carlo standard error of `measured`; `form` formats both and the limits.
    """

    name: str
    measured: float
    error: float
    least: float
    most: float
    simulations: int
    form: str = ".1%"

    @property
    def held(self) -> bool:
        return self.least <= self.measured <= self.most


def make_row(name: str, hits: Iterable[bool], least: float, most: float) -> Row:
    """Make the row of a share of experiments, with its binomial standard error."""
    outcomes = [bool(hit) for hit in hits]
    share = sum(outcomes) / len(outcomes)
    error = math.sqrt(max(share * (1 - share), 0.25 / len(outcomes)) / len(outcomes))
    return Row(name, share, error, least, most, len(outcomes))
