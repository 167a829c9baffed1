"""Selecting what of the found passages reaches the prompt: the sentences that bear on the question. Pure.

A sentence's score is the share of the question's words that it holds, weighed by IDF over these very
sentences (BM25's form: Robertson and Zaragoza 2009, equation 3.3), plus, where token vectors are there, the
cosine of question and sentence, each the mean of its token vectors. What is kept follows the curve of the
scores: every sentence that is no further than `CURVE` from the best one. A question that one sentence
answers keeps little; one that nothing stands out for keeps almost all.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pipelines.sentences import Span, content_words, sentences
from services.core.wire.answer import ContextSelection, LeftOutPassage
from services.core.wire.passages import Passage

SelectName = Literal["sentences", "passages", "off"]

Cosines = Sequence[Sequence[float | None]]
"""By passage and sentence, in [-1, 1]; None where the token vectors do not reach."""

CURVE = 0.3
"""How far a sentence's score may lie under the best one's: `make bench-selection` prints other values."""

CURVE_OF_WORDS = 0.3
"""The same where there are no vectors, and a score is the share of words alone: then more is kept."""

NEXT = 0.1
"""What a sentence loses of the score of the sentence beside it, which it is kept for."""

WHOLE = 0.85
"""Share of a passage's words from which it stays whole: a gap would save nothing."""

_LEANS = re.compile(
    r"(?:it|its|they|their|them|he|his|him|she|her|this|that|these|those|such|both|one|another|the former"
    r"|the latter|however|but|and|or|also|so|then|thus|therefore|hence|instead|otherwise|as a result"
    r"|in addition)\b",
    re.IGNORECASE,
)
"""The beginning of a sentence that needs the one before it."""

_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s")


@dataclass(frozen=True, slots=True)
class Selected:
    """The passages that stay, with what is `kept` of those that lose sentences, and what is said of it."""

    passages: tuple[Passage, ...]
    selection: ContextSelection | None = None


def split_sentences(passages: Sequence[Passage]) -> list[list[Span]]:
    """Split each passage's text into sentences, list items, table rows and headings, in order."""
    return [sentences(passage.text) for passage in passages]


def select(
    question: str,
    passages: Sequence[Passage],
    spans: Sequence[Sequence[Span]],
    cosines: Cosines | None,
    mode: SelectName,
    *,
    curve: float | None = None,
) -> Selected:
    """Keep what bears on the question.

    Args:
        question: What was searched for.
        passages: Those that were found, best first.
        spans: Their sentences, by `split_sentences`.
        cosines: Of the sentences, None where no token vectors are to be had.
        mode: `sentences` keeps sentences, with what they need to be understood; `passages` keeps a passage
            whole where it has such a sentence.
        curve: In place of `CURVE` or `CURVE_OF_WORDS`.

    Returns:
        The passages as they are, and no `selection`, where no sentence shares a word with the question:
        there is nothing to choose by, as where question and passages are in two languages.
    """
    scores = score_sentences(question, spans, cosines)
    if mode == "off" or scores is None:
        return Selected(tuple(passages))
    if curve is None:
        curve = CURVE_OF_WORDS if cosines is None else CURVE
    best = max(max(row, default=0.0) for row in scores)
    kept: list[Passage] = []
    left_out: list[LeftOutPassage] = []
    count = total = 0
    for passage, units, row in zip(passages, spans, scores, strict=True):
        near = {place for place, score in enumerate(_share(row)) if score >= best - curve}
        words = [len(unit.text.split()) for unit in units]
        total += sum(words)
        if not near:
            left_out.append(
                LeftOutPassage(id=passage.id, document_id=passage.document_id, title=passage.title)
            )
            continue
        chosen = complete(units, near) if mode == "sentences" else set(range(len(units)))
        size = sum(words[place] for place in chosen)
        if size >= WHOLE * sum(words):
            kept.append(passage)
            count += sum(words)
        else:
            kept.append(passage.model_copy(update={"kept": _join(units, chosen)}))
            count += size
    return Selected(
        tuple(kept),
        ContextSelection(
            mode="passages" if mode == "passages" else "sentences",
            by="words" if cosines is None else "words and token vectors",
            words=count,
            words_found=total,
            left_out=left_out,
        ),
    )


def score_sentences(
    question: str, spans: Sequence[Sequence[Span]], cosines: Cosines | None
) -> list[list[float]] | None:
    """Score the sentences of each passage; None where none of them shares a word with the question."""
    wanted = content_words(question)
    held = [[wanted & content_words(unit.text) for unit in units] for units in spans]
    if not any(words for row in held for words in row):
        return None
    having = Counter(word for row in held for words in row for word in words)
    count = sum(len(row) for row in held)
    weights = {
        word: math.log1p((count - having[word] + 0.5) / (having[word] + 0.5)) for word in sorted(wanted)
    }
    whole = sum(weights.values())
    shares = [[sum(weights[word] for word in sorted(words)) / whole for words in row] for row in held]
    if cosines is None:
        return shares
    return [
        [share + (cosine or 0.0) for share, cosine in zip(row, known, strict=True)]
        for row, known in zip(shares, cosines, strict=True)
    ]


def complete(units: Sequence[Span], near: set[int]) -> set[int]:
    """Add what the sentences at the places `near` need to be understood.

    That is the sentence before one that leans on it, a table's first row (and the line under it), the line
    that a list hangs on, all items of a list whose line is kept, and the heading above.
    """
    chosen = set(near)
    kinds = [_kind(unit.text) for unit in units]
    for kind, run in groupby(range(len(units)), key=lambda place: kinds[place]):
        places = list(run)
        first = places[0]
        if kind == "row" and chosen & set(places):
            chosen.add(first)
            chosen |= {place for place in places[1:2] if not re.sub(r"[\s|:-]", "", units[place].text)}
        if kind == "item" and first and units[first - 1].text.endswith(":"):
            if first - 1 in near:
                chosen |= set(places)
            elif chosen & set(places):
                chosen.add(first - 1)
    for place in sorted(chosen, reverse=True):
        before = place
        while before and kinds[before] == "sentence" and _LEANS.match(units[before].text):
            before -= 1
            chosen.add(before)
    for place in sorted(chosen):
        heading = next((above for above in range(place - 1, -1, -1) if kinds[above] == "heading"), None)
        if heading is not None:
            chosen.add(heading)
    return chosen


def _kind(text: str) -> Literal["heading", "row", "item", "sentence"]:
    if text.startswith("#"):
        return "heading"
    if text.startswith("|"):
        return "row"
    return "item" if _ITEM.match(text) else "sentence"


def _share(scores: Sequence[float]) -> list[float]:
    """Lift each score to what its neighbours' leave it."""
    return [
        max(score, *(near - NEXT for near in scores[max(0, place - 1) : place + 2]))
        for place, score in enumerate(scores)
    ]


def _join(units: Sequence[Span], chosen: set[int]) -> list[tuple[int, int]]:
    """Join the places that stand side by side to spans of the passage's text."""
    spans: list[tuple[int, int]] = []
    last = -2
    for place in sorted(chosen):
        start = spans.pop()[0] if place == last + 1 else units[place].start
        spans.append((start, units[place].end))
        last = place
    return spans
