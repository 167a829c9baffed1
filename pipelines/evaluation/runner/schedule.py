"""In which order the questions are asked: a pure function of the questions, the arms and the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """One request. `order` is its place in the run."""

    order: int
    question: str
    arm: str
    repeat: int

    @property
    def key(self) -> tuple[str, str, int]:
        return self.question, self.arm, self.repeat


def schedule(questions: Sequence[str], arms: Sequence[str], repeats: int, seed: int) -> tuple[Unit, ...]:
    """Every question to every arm, `repeats` times.

    All questions once, then again; in an order of their own each time, so that no data set comes last. The
    arms answer a question one right after the other, in random order: what changes in the machine over the
    run meets them all alike.
    """
    generator = random.Random(f"schedule:{seed}")
    units: list[Unit] = []
    for repeat in range(repeats):
        for question in generator.sample(questions, len(questions)):
            for arm in generator.sample(arms, len(arms)):
                units.append(Unit(len(units), question, arm, repeat))
    return tuple(units)
