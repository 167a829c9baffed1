"""The embedded MiniLM against what sentence-transformers computes with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.embedding.backends.openvino import OpenVinoEmbedding, Settings

PUBLISHED = {
    "This is an example sentence": (0.06765693, 0.06349593, 0.04871314, 0.07930495, 0.03744806, 0.00265273),
    "Each sentence is converted.": (0.07853645, 0.08856265, -0.0020927, -0.00717247, -0.01252624, 0.01881747),
    "Café déjà vu — 東京": (0.05083271, 0.00967685, 0.09635572, -0.00997369, -0.01987603, 0.01692343),
}
"""First components of sentence-transformers' vectors, as its users have published them."""

QUESTIONS = {
    "How do I reset my password?": "To choose a new password, open Settings and press 'Forgot password'.",
    "What is the capital of France?": "Paris is the seat of the French government.",
    "Why is the sky blue?": "Air scatters short wavelengths of sunlight more than long ones.",
    "How long does shipping take?": "Parcels usually arrive within three to five working days.",
}


def opened(home: Path, precision: str) -> OpenVinoEmbedding:
    settings = Settings.model_validate({"home": home, "precision": precision, "threads": 2})
    return OpenVinoEmbedding(settings, settings.folder())


@pytest.fixture(scope="module")
def float32(models_home: Path) -> OpenVinoEmbedding:
    return opened(models_home, "f32")


@pytest.fixture(scope="module")
def bfloat16(models_home: Path) -> OpenVinoEmbedding:
    return opened(models_home, "bf16")


async def vectors(backend: OpenVinoEmbedding, texts: list[str]) -> NDArray[np.float32]:
    return (await backend.encode(texts, normalize=True, truncate=True)).vectors


async def test_float32_is_what_sentence_transformers_gives(float32: OpenVinoEmbedding) -> None:
    got = await vectors(float32, list(PUBLISHED))
    np.testing.assert_allclose(got[:, :6], list(PUBLISHED.values()), atol=2e-6)


async def test_bfloat16_keeps_the_direction(float32: OpenVinoEmbedding, bfloat16: OpenVinoEmbedding) -> None:
    texts = [*PUBLISHED, *QUESTIONS, *QUESTIONS.values(), "passage " * 250, "x"]
    cosine = (await vectors(float32, texts) * await vectors(bfloat16, texts)).sum(axis=1)
    assert cosine.min() >= 0.9999


async def test_padding_and_company_change_nothing(float32: OpenVinoEmbedding) -> None:
    texts = [f"{'word ' * length}ends here" for length in (1, 90, 3, 200, 17, 2, 40)]
    together = await vectors(float32, texts)
    alone = np.concatenate([await vectors(float32, [text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=2e-6)


async def test_the_vector_is_the_mean_of_the_states(float32: OpenVinoEmbedding) -> None:
    texts = list(QUESTIONS)
    encoded = await float32.encode(texts, normalize=False, truncate=True, token_vectors=True)
    assert encoded.states is not None
    means = [states.mean(axis=0) for states in encoded.states]
    np.testing.assert_allclose(encoded.vectors, means, atol=1e-6)
    assert encoded.prompt_tokens == sum(map(len, encoded.states))


async def test_a_question_finds_its_answer(bfloat16: OpenVinoEmbedding) -> None:
    similar = await vectors(bfloat16, list(QUESTIONS)) @ (await vectors(bfloat16, list(QUESTIONS.values()))).T
    assert similar.argmax(axis=1).tolist() == list(range(len(QUESTIONS)))


async def test_only_the_first_256_tokens_count(float32: OpenVinoEmbedding) -> None:
    start = "alpha " * 254
    cut = await vectors(float32, [start, start + "and something quite different"])
    np.testing.assert_array_equal(cut[0], cut[1])


async def test_the_model_is_named_as_a_tei_server_names_it(float32: OpenVinoEmbedding) -> None:
    info = await float32.info()
    assert (info.model_id, info.dim) == ("sentence-transformers/all-MiniLM-L6-v2", 384)
