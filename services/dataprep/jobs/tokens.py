"""Chunks that fit the embedding model's window, by its own tokenizer.

Chunks are cut by characters, in a process that has no tokenizer. The few that are too long for the model
(code, tables of numbers, languages that it knows little of) would lose their end unseen: they are cut again.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from services.core.clients.embedding import EmbeddingClient
from services.core.errors import NotFound, NotSupported
from services.core.wire.embedding import EmbeddingInfo, Token
from services.core.wire.passages import Passage
from services.dataprep.parsing.chunking import Chunk
from services.dataprep.parsing.sandbox import ChunkedDocument

ROUNDS = 5
"""A part may have a token or two more than it had within the whole, so parts are counted again."""

SPECIAL = 4
INFO_SECONDS = 10.0
"""How long the model's window is taken to be as it was; asked anew, another one is noticed."""

LEAST_ROOM = 8
"""Tokens of text in a part, however long the header above it is."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|[\r\n]+|(?<=[。！？])")  # noqa: RUF001
_WORD_END = re.compile(r"\s+")


def cut(text: str, starts: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Spans of `text` of at most `room` tokens each, given where each token starts, in order.

    Cut at the end of a sentence where one lies in the last half of the room, else of a word, else between
    tokens. The spans cover all but white space.
    """
    spans: list[tuple[int, int]] = []
    at, first = 0, 0
    while len(starts) - first > room:
        limit = starts[first + room]
        earliest = starts[first + room // 2]
        at = _add_span(text, at, _boundary(text, earliest, limit) or limit, spans)
        first = max(bisect_left(starts, at), first + 1)
    _add_span(text, at, len(text), spans)
    return spans


def _boundary(text: str, earliest: int, limit: int) -> int | None:
    """The last end of a sentence, or else of a word, after `earliest`; None where there is neither."""
    for boundary in (_SENTENCE_END, _WORD_END):
        ends = [end.end() for end in boundary.finditer(text, earliest, limit)]
        if ends and ends[-1] > earliest:
            return ends[-1]
    return None


def _add_span(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> int:
    part = text[start:end]
    if part.strip():
        spans.append((start + len(part) - len(part.lstrip()), start + len(part.rstrip())))
    return end


class TokenFit:
    """Asks the embedding service. Against one without `/tokenize` the chunks stay as they are."""

    def __init__(self, embedding: EmbeddingClient) -> None:
        self._embedding = embedding
        self._known: EmbeddingInfo | None = None
        self._asked = 0.0

    async def fit(self, title: str, prepared: ChunkedDocument, tokens: int = 0) -> ChunkedDocument:
        """The document with chunks whose embedded text, header and all, fits the model's window.

        `title` is the passages' title; `tokens`, where it is not 0, is a smaller window of one's own. Raises
        the embedding client's errors.
        """
        try:
            info = await self._info()
            window = min(tokens or info.max_input_length, info.max_input_length)
            batch = max(1, info.max_client_batch_size)
            chunks: list[Chunk] = []
            for at in range(0, len(prepared.chunks), batch):
                chunks += await self._fit_batch(
                    title, prepared.text, prepared.chunks[at : at + batch], window
                )
        except (NotFound, NotSupported):
            return prepared
        return replace(prepared, chunks=chunks)

    async def _info(self) -> EmbeddingInfo:
        """Of a moment ago: many small files would ask more often than they embed."""
        if self._known is None or time.monotonic() - self._asked > INFO_SECONDS:
            self._known, self._asked = await self._embedding.info(), time.monotonic()
        return self._known

    async def _fit_batch(self, title: str, text: str, chunks: Sequence[Chunk], window: int) -> list[Chunk]:
        fitting = list(chunks)
        for spare in range(ROUNDS):
            passages = [_passage(title, text, chunk) for chunk in fitting]
            suspects = [
                at for at, passage in enumerate(passages) if _most_tokens(passage.embedded_text) > window
            ]
            if not suspects:
                break
            counted = await self._tokenize([passages[at].embedded_text for at in suspects])
            parts = {
                at: _parts(fitting[at], passages[at], tokens, window - spare)
                for at, tokens in zip(suspects, counted, strict=True)
                if len(tokens) > window
            }
            if not parts:
                break
            fitting = [part for at, chunk in enumerate(fitting) for part in parts.get(at, [chunk])]
        return fitting

    async def _tokenize(self, texts: Sequence[str]) -> list[list[Token]]:
        return await self._embedding.tokenize(texts, add_special_tokens=True)


def _most_tokens(text: str) -> int:
    """A token is a byte at least; then there are the special ones."""
    return len(text.encode()) + SPECIAL


def _passage(title: str, text: str, chunk: Chunk) -> Passage:
    return Passage(
        id="", document_id="", text=text[chunk.start : chunk.end], title=title, section=chunk.section
    )


def _parts(chunk: Chunk, passage: Passage, tokens: Sequence[Token], window: int) -> list[Chunk]:
    head = len(passage.embedded_text) - len(passage.text)
    starts = [token.start - head for token in tokens if token.start is not None and token.start >= head]
    room = max(LEAST_ROOM, window - (len(tokens) - len(starts)))
    return [
        replace(chunk, start=chunk.start + start, end=chunk.start + end)
        for start, end in cut(passage.text, starts, room)
    ]
