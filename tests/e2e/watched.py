"""What a client saw: its lines, and what is to be said of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, Self

from tests.e2e.asking import DOCUMENT_EVERY


@dataclass(frozen=True, slots=True)
class Line:
    """One question or document of asking.py, as it ended."""

    kind: Literal["question", "document"]
    number: int
    sent: float
    seconds: float
    status: int
    code: str = ""
    service: str = ""
    message: str = ""
    model: str = ""
    degraded: tuple[str, ...] = ()
    content: str = ""
    name: str = ""
    job: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        return cls(**json.loads(text))

    @property
    def failed(self) -> bool:
        return self.status not in (200, 202)

    @property
    def error(self) -> str:
        """Such as `503 service_unavailable retrieval`."""
        return " ".join(filter(None, (str(self.status), self.code, self.service)))


@dataclass(frozen=True, slots=True)
class Watched:
    """All that was sent in a stretch of time."""

    questions: list[Line]
    documents: list[Line] = field(default_factory=list)

    @classmethod
    def between(cls, lines: list[Line], since: float, until: float) -> Self | None:
        """None while something that was sent in that time, or before, has not ended."""
        later = [line.number for line in lines if line.kind == "question" and line.sent > until]
        if not later:
            return None
        sent = range(1, min(later))
        ended = {(line.kind, line.number) for line in lines}
        documents = {("document", number) for number in sent if number % DOCUMENT_EVERY == 0}
        if not {("question", number) for number in sent} | documents <= ended:
            return None
        inside = [line for line in lines if since <= line.sent <= until]
        inside.sort(key=lambda line: line.sent)
        return cls(*([line for line in inside if line.kind == kind] for kind in ("question", "document")))

    @property
    def failed(self) -> list[Line]:
        return [line for line in self.questions if line.failed]

    @property
    def degraded(self) -> list[Line]:
        return [line for line in self.questions if line.degraded]

    def errors(self) -> set[str]:
        """Every kind of error, of questions and of documents."""
        return {line.error for line in (*self.questions, *self.documents) if line.failed}

    def models(self) -> list[str]:
        """Who answered, in order, each change once."""
        found: list[str] = []
        for line in self.questions:
            if line.model and found[-1:] != [line.model]:
                found.append(line.model)
        return found

    def __str__(self) -> str:
        """For a report: counts, and the seconds from the first to the last that was not as it should be."""
        answered = [line.seconds for line in self.questions if not line.failed]
        times = f"median {median(answered):.1f} s, longest {max(answered):.1f} s" if answered else "none"
        accepted = sum(not line.failed for line in self.documents)
        text = (
            f"{len(self.questions)} questions: {_span('failed', self.failed)}, "
            f"{_span('degraded', self.degraded)}; answered: {times}; models: {' > '.join(self.models())}; "
            f"{len(self.documents)} documents, {accepted} accepted"
        )
        wrong = [*self.failed, *(line for line in self.documents if line.failed)]
        for error, count in sorted(Counter(line.error for line in wrong).items()):
            text += f"\n    {count} x {error}"
        marks = Counter(mark for line in self.degraded for mark in line.degraded)
        for mark, count in sorted(marks.items()):
            text += f"\n    {count} x without {mark}"
        return text


def _span(word: str, lines: list[Line]) -> str:
    if not lines:
        return f"0 {word}"
    sent = [line.sent for line in lines]
    return f"{len(lines)} {word} (sent within {max(sent) - min(sent) + 1:.0f} s)"
