"""Citations: which passage, and which words of it, each sentence of an answer rests on. Pure.

A model that writes [n] draws the connection itself. Small models mostly do not, so a sentence without
a marker is attributed to the passage that shares most of its content words, and to none where fewer
than `THRESHOLD` are shared or where a number of the sentence stands in no part of the passage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pipelines.sentences import Span, content_words, numbers, sentences
from services.core.wire.answer import FileCitation
from services.core.wire.passages import Passage

THRESHOLD = 0.5
"""Share of a sentence's content words that a passage must hold for an attribution."""

_MARKER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
_LEADING = re.compile(rf"(?:{_MARKER.pattern}[\s.]*)+")


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence of an answer with its place, its text without markers, and the numbers that they name."""

    span: Span
    bare: str
    markers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """How well a passage supports a sentence: the share of its content words, and the best place."""

    support: float
    quote: Span


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a passage: of the whole, and of each of its sentences."""

    all: frozenset[str]
    numbers: frozenset[str]
    spans: tuple[tuple[Span, frozenset[str]], ...]


def cite(answer: str, passages: Sequence[Passage]) -> list[FileCitation]:
    """Make one citation per sentence and passage, in order; markers that name no passage are left out."""
    found: list[FileCitation] = []
    for sentence in split_cited(answer):
        marked = [position for position in sentence.markers if 1 <= position <= len(passages)]
        for position in marked:
            matched = match(sentence.bare, passages[position - 1])
            found.append(_citation(sentence.span, position, passages[position - 1], matched, "model"))
        if not marked and (best := attribute(sentence.bare, passages)) is not None:
            position, matched = best
            found.append(_citation(sentence.span, position, passages[position - 1], matched, "attributed"))
    return found


def split_cited(answer: str) -> list[CitedSentence]:
    """Split off the sentences that say something.

    Markers after a full stop belong to the sentence before it, unless the answer begins with a marker.
    """
    found: list[CitedSentence] = []
    leads = _LEADING.match(answer.lstrip()) is not None
    for sentence in sentences(answer):
        leading = None if leads else _LEADING.match(sentence.text)
        start = sentence.start
        if leading is not None and found:
            before = found[-1]
            end = start + len(leading.group().rstrip())
            span = Span(before.span.start, end, answer[before.span.start : end])
            named = dict.fromkeys((*before.markers, *read_markers(leading.group())))
            found[-1] = CitedSentence(span, before.bare, tuple(named))
            start += leading.end()
        text = answer[start : sentence.end]
        bare = " ".join(strip_markers(text).split())
        if content_words(bare):
            found.append(CitedSentence(Span(start, sentence.end, text), bare, tuple(read_markers(text))))
    return found


def read_markers(sentence: str) -> list[int]:
    """Read every number that a sentence's [n] or [n, m] markers name, once each, whether valid or not."""
    numbered = (int(part) for group in _MARKER.findall(sentence) for part in group.split(","))
    return list(dict.fromkeys(numbered))


def strip_markers(sentence: str) -> str:
    """Put a blank in place of each marker."""
    return _MARKER.sub(" ", sentence)


def attribute(sentence: str, passages: Sequence[Passage]) -> tuple[int, Match] | None:
    """Find the passage (from 1) that supports the sentence best, the earlier of equals; None if none does."""
    best: tuple[int, Match] | None = None
    figures = numbers(sentence)
    for position, passage in enumerate(passages, start=1):
        if not figures <= _read_words(passage).numbers:
            continue
        matched = match(sentence, passage)
        if matched.support >= THRESHOLD and (best is None or matched.support > best[1].support):
            best = position, matched
    return best


def match(sentence: str, passage: Passage) -> Match:
    """Compare a sentence with what is shown of a passage; the quote is its sentence that shares most.

    A shared number counts before any number of shared words: it is what a reader checks first.
    """
    wanted = content_words(sentence)
    figures = numbers(sentence)
    words = _read_words(passage)
    support = len(wanted & words.all) / len(wanted) if wanted else 0.0
    quote = max(words.spans, key=lambda pair: (len(figures & pair[1]), len(wanted & pair[1])))[0]
    return Match(support=round(support, 3), quote=quote)


def _read_words(passage: Passage) -> _Words:
    return _words(passage.text, None if passage.kept is None else tuple(map(tuple, passage.kept)))


@lru_cache(maxsize=2048)
def _words(text: str, kept: tuple[tuple[int, int], ...] | None) -> _Words:
    units = sentences(text)
    if kept is not None:
        units = [unit for unit in units if any(start <= unit.start < end for start, end in kept)]
    spans = tuple((span, content_words(span.text)) for span in units or [Span(0, len(text), text)])
    figures = numbers(text) if kept is None else frozenset().union(*(numbers(span.text) for span, _ in spans))
    return _Words(all=frozenset().union(*(words for _, words in spans)), numbers=figures, spans=spans)


def _citation(
    sentence: Span, position: int, passage: Passage, matched: Match, method: Literal["model", "attributed"]
) -> FileCitation:
    return FileCitation(
        start_index=sentence.start,
        index=sentence.end,
        marker=position,
        file_id=passage.document_id,
        filename=passage.title,
        passage_id=passage.id,
        page=passage.page,
        section=passage.section,
        start=passage.start + matched.quote.start,
        end=passage.start + matched.quote.end,
        quote=matched.quote.text,
        score=passage.score,
        support=matched.support,
        method=method,
        metadata=passage.metadata or None,
    )
