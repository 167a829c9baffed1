"""Cutting a text where a byte-pair tokenizer cuts anyway, for one that truncates long texts. Pure."""

from __future__ import annotations

import re

PIECE = 2000
"""Characters: at most four bytes each, so never more than 8,000 tokens."""

_BOUNDARY = re.compile(r"(?<=[^\s<|])(?= [^\W\d_])")
"""Between a word and the space before the next: such tokenizers never join across it."""

MARKUP = 64


def pieces(text: str, size: int = PIECE) -> list[str]:
    """`text` in parts of at most `size` characters whose tokens, joined, are the text's.

    Where a part has no boundary, the cut is anywhere but inside a `<|marker|>`.
    """
    parts = []
    while len(text) > size:
        cuts = [match.start() for match in _BOUNDARY.finditer(text, 1, size)]
        cut = cuts[-1] if cuts else size
        marker = text.rfind("<", max(1, cut - MARKUP), cut)
        if not cuts and marker > 0:
            cut = marker
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]
