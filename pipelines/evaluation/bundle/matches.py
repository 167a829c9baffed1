"""Which answers of a bundle a judge compares: the baseline's with each other arm's, to the same question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.evaluation.bundle.records import Answer, Bundle


@dataclass(frozen=True, slots=True)
class Match:
    """Two answers of one repeat. `empty`: one of them says nothing, so that there is nothing to compare;
    `alike`: they say the same word for word, which is a tie that nobody need be asked about."""

    question: str
    arm: str
    repeat: int
    baseline: str
    other: str

    @property
    def empty(self) -> bool:
        return not self.baseline or not self.other

    @property
    def alike(self) -> bool:
        return not self.empty and self.baseline.split() == self.other.split()

    @property
    def asked(self) -> bool:
        return not self.empty and not self.alike


def matches(bundle: Bundle) -> Iterator[Match]:
    """All of them, in the bundle's order."""
    said = {answer.key: _said(answer) for answer in bundle.answers}
    baseline, *others = (arm.name for arm in bundle.manifest.arms)
    for asked in bundle.questions:
        for arm in others:
            for repeat in range(bundle.manifest.conditions.repeats):
                yield Match(
                    question=asked.id,
                    arm=arm,
                    repeat=repeat,
                    baseline=said[asked.id, baseline, repeat],
                    other=said[asked.id, arm, repeat],
                )


def _said(answer: Answer) -> str:
    return "" if answer.reply.status == "failed" else answer.reply.content.strip()
