"""Citation recall, precision and validity, as ALCE defines the first two.

Gao et al. (2023), "Enabling Large Language Models to Generate Text with Citations", EMNLP, section 3. Whether
passages support a statement is asked of a predicate: the groundedness scorer, an NLI model, a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.citations import named, unmarked
from pipelines.sentences import content_words, sentences

Supports = Callable[[str, str], bool]
"""`supports(passages, statement)`: whether the text of the passages entails the statement."""

_LEADING = re.compile(r"^(?:\[\d{1,3}(?:\s*,\s*\d{1,3})*\]\s*)+")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of an answer without its markers, and the passages (from 1) that they name, valid or not."""

    text: str
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CitationScores:
    """`recall` over statements and `precision` over valid citations; `validity` over all citations.

    None where there is nothing to count: no statement, or no citation.
    """

    recall: float | None
    precision: float | None
    validity: float | None
    statements: int
    citations: int


def split_statements(answer: str) -> list[Statement]:
    """The sentences that say something. A marker after the full stop belongs to the sentence before it."""
    found: list[Statement] = []
    for sentence in sentences(answer):
        text = sentence.text
        leading = _LEADING.match(text)
        if leading is not None and found:
            before = found[-1]
            cited = dict.fromkeys((*before.cited, *named(leading.group())))
            found[-1] = Statement(before.text, tuple(cited))
            text = text[leading.end() :]
        bare = " ".join(unmarked(text).split())
        if content_words(bare):
            found.append(Statement(bare, tuple(named(text))))
    return found


def score_citations(answer: str, passages: Sequence[str], supports: Supports) -> CitationScores:
    """All three of one answer. `passages` in the order of their numbers.

    Recall: a statement counts where it cites and its cited passages together support it. Precision: a
    citation counts where its statement is supported so, and the passage either supports it alone or is
    needed by the others. Validity: a citation counts where it names a passage that was given.
    """
    found = split_statements(answer)
    recalled = precise = valid = cited = 0
    for statement in found:
        usable = [number for number in statement.cited if 1 <= number <= len(passages)]
        cited += len(statement.cited)
        valid += len(usable)
        if not usable or not supports(_joined(usable, passages), statement.text):
            continue
        recalled += 1
        precise += sum(_relevant(number, usable, passages, statement.text, supports) for number in usable)
    return CitationScores(
        recall=recalled / len(found) if found else None,
        precision=precise / valid if valid else None,
        validity=valid / cited if cited else None,
        statements=len(found),
        citations=cited,
    )


def _relevant(
    number: int, cited: Sequence[int], passages: Sequence[str], statement: str, supports: Supports
) -> bool:
    if len(cited) == 1 or supports(passages[number - 1], statement):
        return True
    others = [other for other in cited if other != number]
    return not supports(_joined(others, passages), statement)


def _joined(cited: Sequence[int], passages: Sequence[str]) -> str:
    return "\n".join(passages[number - 1] for number in cited)
