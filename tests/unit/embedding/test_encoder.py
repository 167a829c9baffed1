"""What reaches the model, and what is known without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from services.core.errors import PayloadTooLarge
from services.core.wire.embedding import Direction, EmbeddingInfo
from services.embedding.backend import EncodedTexts
from services.embedding.backends.fake import FakeEmbedding, Settings
from services.embedding.cache import EmbeddingCache
from services.embedding.encoder import EmbedOptions, Encoder


class Model(FakeEmbedding):
    """The fake model under another's name, which remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(Settings(dim=32))
        self.asked: list[str] = []

    async def info(self) -> EmbeddingInfo:
        return (await super().info()).model_copy(update={"model_id": "intfloat/e5-small-v2"})

    async def encode(
        self,
        texts: Sequence[str],
        *,
        normalize: bool,
        truncate: bool,
        direction: Direction = "right",
        token_vectors: bool = False,
    ) -> EncodedTexts:
        self.asked += texts
        return await super().encode(
            texts, normalize=normalize, truncate=truncate, direction=direction, token_vectors=token_vectors
        )


class Bench:
    def __init__(self, memory: int = 1_000_000, query: str | None = None, passage: str | None = None) -> None:
        self.model = Model()
        self.counted: Counter[tuple[str, str]] = Counter()
        cache = EmbeddingCache(memory, None, self._count)
        self.encoder = Encoder(self.model, cache if memory else None, query, passage)

    def _count(self, cache: str, result: str, count: int) -> None:
        self.counted[cache, result] += count


async def test_what_is_known_is_not_computed_again() -> None:
    bench = Bench()
    first = await bench.encoder.encode(["one", "two"], EmbedOptions())
    second = await bench.encoder.encode(["three", "two", "one"], EmbedOptions())
    np.testing.assert_array_equal(second.vectors[1:], first.vectors[::-1])
    assert bench.model.asked == ["one", "two", "three"]
    assert second.prompt_tokens == 3 * 3
    assert bench.counted == {("memory", "miss"): 3, ("memory", "hit"): 2}


async def test_a_text_that_comes_twice_is_computed_once() -> None:
    bench = Bench(memory=0)
    encoded = await bench.encoder.encode(["one", "two", "one"], EmbedOptions())
    assert bench.model.asked == ["one", "two"]
    np.testing.assert_array_equal(encoded.vectors[0], encoded.vectors[2])


async def test_normalised_or_not_is_one_entry() -> None:
    bench = Bench()
    raw = await bench.encoder.encode(["two words"], EmbedOptions(normalize=False))
    unit = await bench.encoder.encode(["two words"], EmbedOptions())
    assert np.linalg.norm(raw.vectors) > 1.5
    np.testing.assert_allclose(np.linalg.norm(unit.vectors), 1, atol=1e-6)
    assert bench.model.asked == ["two words"]


async def test_token_vectors_are_kept_and_an_entry_without_them_is_not_enough() -> None:
    bench = Bench()
    wanted = EmbedOptions(token_vectors=True)
    await bench.encoder.encode(["two words"], EmbedOptions())
    first = await bench.encoder.encode(["two words"], wanted)
    again = await bench.encoder.encode(["two words"], wanted)
    assert bench.model.asked == ["two words"] * 2
    assert first.token_vectors is not None
    assert again.token_vectors is not None
    assert first.token_vectors[0].shape == (2, 32)
    np.testing.assert_array_equal(first.token_vectors[0], again.token_vectors[0])
    assert (await bench.encoder.encode(["two words"], EmbedOptions())).token_vectors is None


async def test_the_prefix_is_put_before_the_text_and_keeps_entries_apart() -> None:
    bench = Bench()
    for prompt in ("query", "passage", "document", None):
        await bench.encoder.encode(["bees"], EmbedOptions(prompt=prompt))
    assert bench.model.asked == ["query: bees", "passage: bees", "bees"]


async def test_the_prefixes_tokens_are_not_among_the_token_vectors() -> None:
    bench = Bench()
    bare = await bench.encoder.encode(["bees make honey"], EmbedOptions(token_vectors=True))
    named = await bench.encoder.encode(["bees make honey"], EmbedOptions(token_vectors=True, prompt="query"))
    assert named.token_vectors is not None
    assert bare.token_vectors is not None
    np.testing.assert_array_equal(named.token_vectors[0], bare.token_vectors[0])


async def test_truncation_keeps_entries_apart() -> None:
    bench = Bench()
    long = "first " + "word " * 600 + "last"
    start = await bench.encoder.encode([long], EmbedOptions(truncate=True))
    end = await bench.encoder.encode([long], EmbedOptions(truncate=True, direction="left"))
    assert not np.array_equal(start.vectors, end.vectors)
    with pytest.raises(PayloadTooLarge):
        await bench.encoder.encode([long], EmbedOptions())


async def test_the_models_id_tells_another_passage_prefix() -> None:
    plain = await Bench().encoder.info()
    assert plain.model_id == "intfloat/e5-small-v2"
    assert plain.prompts == {"query": "query: ", "passage": "passage: "}
    other = await Bench(query="q ", passage="none").encoder.info()
    assert other.model_id == 'intfloat/e5-small-v2 with passage prefix ""'
    assert other.prompts == {"query": "q ", "passage": ""}


async def test_a_cache_that_is_full_forgets_and_still_answers() -> None:
    bench = Bench(memory=1500)
    for _ in range(2):
        for text in ("one", "two", "three"):
            await bench.encoder.encode([text], EmbedOptions())
    assert bench.model.asked == ["one", "two", "three"] * 2
