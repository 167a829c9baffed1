"""No chunk's embedded text is longer than the model's window, whatever its tokenizer makes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.clients.embedding import EmbeddingClient
from services.core.errors import NotFound, NotSupported, RaglineError, ServiceUnavailable
from services.core.text import normalise
from services.core.wire.embedding import EmbeddingInfo, Token
from services.dataprep.jobs.tokens import TokenFit, cut
from services.dataprep.parsing.chunking import Chunk
from services.dataprep.parsing.document import TableSpan
from services.dataprep.parsing.sandbox import ChunkedDocument
from tests.soak import rounds


class Tokenizer(EmbeddingClient):
    """Two special tokens; a word is tokens of up to `length` characters, counted from where the word begins."""

    def __init__(self, window: int, length: int = 3, error: RaglineError | None = None) -> None:
        self.window = window
        self.length = length
        self.error = error
        self.calls: list[int] = []
        self.asked = 0

    async def info(self) -> EmbeddingInfo:
        self.asked += 1
        return EmbeddingInfo(model_id="m", max_input_length=self.window, max_client_batch_size=4)

    async def tokenize(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[Token]]:
        if self.error is not None:
            raise self.error
        self.calls.append(len(texts))
        return [self.tokens(text) for text in texts]

    def tokens(self, text: str) -> list[Token]:
        found = [
            Token(1, "", False, start, min(start + self.length, word.end()))
            for word in re.finditer(r"\S+", text)
            for start in range(word.start(), word.end(), self.length)
        ]
        return [Token(0, "[CLS]", True), *found, Token(2, "[SEP]", True)]


@pytest.mark.soak
@settings(max_examples=rounds(75, 1500), deadline=None)
@given(st.text(alphabet="ab .\n。", max_size=300), st.integers(1, 20), st.integers(1, 4))
def test_cuts_hold_few_enough_tokens_and_all_of_the_text(text: str, room: int, length: int) -> None:
    starts = [token.start for token in Tokenizer(0, length).tokens(text) if token.start is not None]
    spans = cut(text, starts, room)
    covered = {at for start, end in spans for at in range(start, end)}
    blank = {at for at, character in enumerate(text) if character.isspace()}
    assert covered | blank == set(range(len(text)))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    for start, end in spans:
        assert sum(start <= at < end for at in starts) <= room


def test_cuts_prefer_the_end_of_a_sentence_then_of_a_word() -> None:
    text = "One two three. Four five six seven eight"
    starts = [word.start() for word in re.finditer(r"\S+", text)]
    assert [text[start:end] for start, end in cut(text, starts, 5)] == [
        "One two three.",
        "Four five six seven eight",
    ]
    assert [text[start:end] for start, end in cut(text, starts, 4)] == [
        "One two three.",
        "Four five six seven",
        "eight",
    ]


@pytest.mark.soak
@settings(max_examples=rounds(25, 500), deadline=None)
@given(
    st.lists(st.text(alphabet="ab .\n", min_size=1, max_size=200), min_size=1, max_size=8),
    st.integers(24, 60),
)
async def test_what_is_embedded_fits(texts: list[str], window: int) -> None:
    text = "".join(texts)
    bounds = [0, *(sum(map(len, texts[: n + 1])) for n in range(len(texts)))]
    chunks = [Chunk(*each, section="Sec", page=2) for each in pairwise(bounds) if text[slice(*each)].strip()]
    tokenizer = Tokenizer(window)
    fitted = await TokenFit(tokenizer).fit("doc.md", ChunkedDocument(text, chunks))
    assert fitted.text == text
    for each in fitted.chunks:
        assert (each.section, each.page) == ("Sec", 2)
        assert len(tokenizer.tokens(f"doc.md > Sec\n{text[each.start : each.end]}")) <= window
    covered = {at for each in fitted.chunks for at in range(each.start, each.end)}
    wanted = {at for each in chunks for at in range(each.start, each.end) if not text[at].isspace()}
    assert wanted <= covered


@pytest.mark.parametrize("sign", ["\u3314", "\ufdfa", "\u00bd", "e\u0301", "so\u00adft ", "\ufb03"])
async def test_what_is_embedded_fits_in_its_normal_form(sign: str) -> None:
    """One sign of the document may be many characters of what is embedded, or none."""
    text, tokenizer = f"Before. {sign * 200} after.", Tokenizer(40)
    fitted = await TokenFit(tokenizer).fit("d", ChunkedDocument(text, [Chunk(0, len(text))]))
    parts = [text[each.start : each.end] for each in fitted.chunks]
    assert all(len(tokenizer.tokens(normalise(f"d\n{part}"))) <= 40 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


async def test_one_call_a_batch_and_none_for_what_is_short() -> None:
    text = "word " * 200
    chunks = [Chunk(start, start + 100) for start in range(0, 1000, 100)]
    tokenizer = Tokenizer(80)
    prepared = ChunkedDocument(text, chunks)
    assert (await TokenFit(tokenizer).fit("a", prepared)).chunks == chunks
    assert tokenizer.calls == [4, 4, 2]
    short = Tokenizer(120)
    assert (await TokenFit(short).fit("a", prepared)).chunks == chunks
    assert short.calls == []


async def test_a_window_of_ones_own_is_smaller_than_the_models_or_counts_for_nothing() -> None:
    prepared = ChunkedDocument("word " * 100, [Chunk(0, 499)])
    assert len((await TokenFit(Tokenizer(1000)).fit("a", prepared, tokens=50)).chunks) > 4
    fitted = await TokenFit(Tokenizer(50)).fit("a", prepared, tokens=1000)
    assert len(fitted.chunks) > 4


async def test_the_window_is_asked_once_for_many_files_and_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer, prepared = Tokenizer(100), ChunkedDocument("word " * 100, [Chunk(0, 499)])
    fitting = TokenFit(tokenizer)
    before = [await fitting.fit(name, prepared) for name in ("a", "b")]
    assert tokenizer.asked == 1
    tokenizer.window = 50
    monkeypatch.setattr("services.dataprep.jobs.tokens.INFO_SECONDS", -1)
    assert len((await fitting.fit("c", prepared)).chunks) > len(before[1].chunks)
    assert tokenizer.asked == 2


@pytest.mark.parametrize("error", [NotFound("no /tokenize"), NotSupported("no tokenizer")])
async def test_without_a_tokenizer_chunks_stay(error: RaglineError) -> None:
    prepared = ChunkedDocument("word " * 100, [Chunk(0, 499)])
    assert await TokenFit(Tokenizer(50, error=error)).fit("a", prepared) == prepared
    with pytest.raises(ServiceUnavailable):
        await TokenFit(Tokenizer(50, error=ServiceUnavailable("down"))).fit("a", prepared)


HEAD = "| Part no | Torque |\n|---|---|\n"


def table_of(rows: int, width: int = 10) -> tuple[str, Chunk]:
    """A text with a table in it, and the chunk that holds all of it."""
    table = HEAD + "\n".join(f"| PPR-{number} | {'word ' * width}|" for number in range(rows))
    text = f"Parts list\n\n{table}\n\nThe end."
    start = text.index(HEAD)
    span = TableSpan(start, start + len(HEAD), start + len(table))
    return text, Chunk(0, len(text), "Parts", tables=(span,))


@pytest.mark.parametrize(("rows", "width", "window"), [(40, 3, 120), (40, 3, 60), (7, 20, 160), (3, 1, 90)])
async def test_no_cut_by_tokens_leaves_a_row_without_its_header(rows: int, width: int, window: int) -> None:
    text, chunk = table_of(rows, width)
    tokenizer = Tokenizer(window)
    fitted = await TokenFit(tokenizer).fit("doc.md", ChunkedDocument(text, [chunk]))
    texts = [fitted.text[part.start : part.end] for part in fitted.chunks]
    assert all(len(tokenizer.tokens(f"doc.md > Parts\n{part}")) <= window for part in texts)
    assert all(HEAD in part.partition("PPR-")[0] for part in texts if "PPR-" in part)
    assert sorted(re.findall(r"PPR-\d+", "".join(texts))) == sorted(f"PPR-{number}" for number in range(rows))
    assert fitted.text.replace(HEAD, "") == text.replace(HEAD, "")
    assert texts[-1].endswith("The end.")


async def test_a_row_longer_than_the_window_has_its_header_on_every_part() -> None:
    text, chunk = table_of(1, 200)
    tokenizer = Tokenizer(150)
    fitted = await TokenFit(tokenizer).fit("d", ChunkedDocument(text, [chunk]))
    texts = [fitted.text[part.start : part.end] for part in fitted.chunks]
    rows = [part for part in texts if "word" in part]
    assert len(rows) > 2
    assert all(part.startswith(HEAD) for part in rows)
    assert all(len(tokenizer.tokens(f"d > Parts\n{part}")) <= 150 for part in texts)


async def test_a_header_that_leaves_no_room_is_not_repeated() -> None:
    text, chunk = table_of(5)
    tokenizer = Tokenizer(30)
    fitted = await TokenFit(tokenizer).fit("d", ChunkedDocument(text, [chunk]))
    assert all(
        len(tokenizer.tokens(f"d > Parts\n{fitted.text[part.start : part.end]}")) <= 30
        for part in fitted.chunks
    )
