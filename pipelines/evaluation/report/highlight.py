"""Texts cut into pieces, so that a template marks some of them and escapes all of them."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.evaluation.report.document import Emphasis, Piece

Span = tuple[int, int, Emphasis]
"""Start and end in characters, and why it stands out."""


def pieces(text: str, spans: Iterable[Span]) -> tuple[Piece, ...]:
    """The whole text in order. Where spans overlap the earlier in the list wins; what lies outside the text
    is cut off."""
    marks: list[Emphasis] = [""] * len(text)
    for start, end, emphasis in spans:
        for at in range(max(0, start), min(len(text), end)):
            marks[at] = marks[at] or emphasis
    found: list[Piece] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or marks[at] != marks[start]:
            found.append(Piece(text=text[start:at], emphasis=marks[start]))
            start = at
    return tuple(found)
