"""Chunks that fit the embedding model's window, by its own tokenizer.

Chunks are cut by characters, in a process that has no tokenizer. The few that are too long for the model
(code, tables of numbers, languages that it knows little of) would lose their end unseen: they are cut again.
A table is cut between its rows, and its header is repeated in the document's text above each part.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from services.core.clients.embedding import EmbeddingClient
from services.core.errors import NotFound, NotSupported
from services.core.text import locate_normalised, normalise
from services.core.wire.embedding import EmbeddingInfo, Token
from services.core.wire.passages import Passage
from services.dataprep.parsing.chunking import Chunk
from services.dataprep.parsing.document import TableSpan
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


@dataclass(frozen=True, slots=True)
class _Part:
    """A chunk, and the header that its rows are to get above them."""

    chunk: Chunk
    header: str = ""

    def text(self, document: str) -> str:
        return self.header + document[self.chunk.start : self.chunk.end]


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
            parts: list[_Part] = []
            for at in range(0, len(prepared.chunks), batch):
                parts += await self._fit_batch(title, prepared.text, prepared.chunks[at : at + batch], window)
        except (NotFound, NotSupported):
            return prepared
        return _insert_headers(prepared, parts)

    async def _info(self) -> EmbeddingInfo:
        """Of a moment ago: many small files would ask more often than they embed."""
        if self._known is None or time.monotonic() - self._asked > INFO_SECONDS:
            self._known, self._asked = await self._embedding.info(), time.monotonic()
        return self._known

    async def _fit_batch(self, title: str, text: str, chunks: Sequence[Chunk], window: int) -> list[_Part]:
        fitting = [_Part(chunk) for chunk in chunks]
        for spare in range(ROUNDS):
            passages = [_passage(title, text, part) for part in fitting]
            suspects = [
                at for at, passage in enumerate(passages) if _most_tokens(passage.embedded_text) > window
            ]
            if not suspects:
                break
            counted = await self._tokenize([passages[at].embedded_text for at in suspects])
            cuts = {
                at: _cut_part(fitting[at], passages[at], tokens, window - spare)
                for at, tokens in zip(suspects, counted, strict=True)
                if len(tokens) > window
            }
            if not cuts:
                break
            fitting = [piece for at, part in enumerate(fitting) for piece in cuts.get(at, [part])]
        return fitting

    async def _tokenize(self, texts: Sequence[str]) -> list[list[Token]]:
        """Count what is embedded, the normal form, with the tokens' places in the texts as they are."""
        normal = [normalise(text) for text in texts]
        counted = await self._embedding.tokenize(normal, add_special_tokens=True)
        return [
            tokens if text == form else _place(tokens, text)
            for text, form, tokens in zip(texts, normal, counted, strict=True)
        ]


def _place(tokens: Sequence[Token], text: str) -> list[Token]:
    """Move tokens of a text's normal form to where they come from."""
    places = [*locate_normalised(text), len(text)]
    last = len(places) - 1
    return [
        token if token.start is None else replace(token, start=places[min(token.start, last)], stop=None)
        for token in tokens
    ]


def _most_tokens(text: str) -> int:
    """A token is a byte of the normal form at least; then there are the special ones."""
    return len(normalise(text).encode()) + SPECIAL


def _passage(title: str, text: str, part: _Part) -> Passage:
    return Passage(id="", document_id="", text=part.text(text), title=title, section=part.chunk.section)


def _cut_part(part: _Part, passage: Passage, tokens: Sequence[Token], window: int) -> list[_Part]:
    """Cut what is too long: text from tables, tables between their rows, all else by its tokens."""
    chunk = part.chunk
    for table in chunk.tables:
        if part.header or (table.start, table.end) == (chunk.start, chunk.end):
            return _cut_rows(part, passage, tokens, window) or _cut_text(part, passage, tokens, window)
        return _cut_at(chunk, table)
    return _cut_text(part, passage, tokens, window)


def _cut_at(chunk: Chunk, table: TableSpan) -> list[_Part]:
    """Cut before and after a table."""
    later = tuple(other for other in chunk.tables if other.start >= table.end)
    spans = [
        (chunk.start, table.start, ()),
        (table.start, table.end, (table,)),
        (table.end, chunk.end, later),
    ]
    return [
        _Part(replace(chunk, start=start, end=end, tables=tables))
        for start, end, tables in spans
        if start < end
    ]


def _cut_rows(part: _Part, passage: Passage, tokens: Sequence[Token], window: int) -> list[_Part]:
    """Cut a table between its rows, and within one that is too long; empty where its header is."""
    chunk, table = part.chunk, part.chunk.tables[0]
    top = len(part.header) or table.body - table.start
    header, rows = passage.text[:top], passage.text[top:]
    head = len(passage.embedded_text) - len(rows)
    starts = [token.start - head for token in tokens if token.start is not None and token.start >= head]
    room = window - (len(tokens) - len(starts))
    if room < LEAST_ROOM:
        return []
    first = chunk.end - len(rows)
    parts: list[_Part] = []
    for number, (start, end) in enumerate(_group_rows(rows, starts, room)):
        is_whole = number == 0 and not part.header
        begin = chunk.start if is_whole else first + start
        span = TableSpan(begin, first if is_whole else begin, first + end)
        piece = replace(chunk, start=begin, end=first + end, tables=(span,))
        parts.append(_Part(piece, "" if is_whole else header))
    return parts


def _group_rows(rows: str, starts: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Find spans of whole rows, or of parts of one, of at most `room` tokens each."""
    groups: list[tuple[int, int]] = []
    held, at = 0, 0
    for line in rows.splitlines(keepends=True):
        end = at + len(line)
        inside = [start - at for start in starts if at <= start < end]
        for begin, until in cut(line, inside, room):
            first, after = bisect_left(inside, begin), bisect_left(inside, until)
            if groups and held + after - first <= room:
                groups[-1] = groups[-1][0], at + until
                held += after - first
            else:
                groups.append((at + begin, at + until))
                held = after - first
        at = end
    return groups


def _cut_text(part: _Part, passage: Passage, tokens: Sequence[Token], window: int) -> list[_Part]:
    head = len(passage.embedded_text) - len(passage.text) + len(part.header)
    text = passage.text[len(part.header) :]
    starts = [token.start - head for token in tokens if token.start is not None and token.start >= head]
    room = window - (len(tokens) - len(starts))
    if part.header and room < LEAST_ROOM:
        part = replace(part, header="")
        room += len(tokens) - len(starts)
    room = max(LEAST_ROOM, room)
    return [
        replace(part, chunk=replace(part.chunk, start=part.chunk.start + start, end=part.chunk.start + end))
        for start, end in cut(text, starts, room)
    ]


def _insert_headers(prepared: ChunkedDocument, parts: Sequence[_Part]) -> ChunkedDocument:
    """Put the headers into the text, and move the chunks accordingly."""
    headers = {part.chunk.start: part.header for part in parts if part.header}
    if not headers:
        return replace(prepared, chunks=[part.chunk for part in parts])
    places = sorted(headers)
    shifts = list(accumulate((len(headers[place]) for place in places), initial=0))
    text = "".join(
        headers.get(start, "") + prepared.text[start:end]
        for start, end in pairwise(sorted({0, *places, len(prepared.text)}))
    )
    chunks = [
        replace(
            part.chunk,
            start=part.chunk.start
            + shifts[(bisect_left if part.header else bisect_right)(places, part.chunk.start)],
            end=part.chunk.end + shifts[bisect_left(places, part.chunk.end)],
        )
        for part in parts
    ]
    boxes = tuple(
        replace(box, start=box.start + shift, end=box.end + shift)
        for box in prepared.boxes
        for shift in [shifts[bisect_right(places, box.start)]]
    )
    return replace(prepared, text=text, chunks=chunks, boxes=boxes)
