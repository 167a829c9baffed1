from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from services.core.errors import PayloadTooLarge, ServiceUnavailable
from services.embedding.backends.openvino.tokens import TextTokenizer


@pytest.fixture
def tokenizer_json(tmp_path: Path) -> Path:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=6)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def test_the_files_own_padding_and_truncation_are_off(tokenizer_json: Path) -> None:
    assert TextTokenizer(tokenizer_json, 16).encode(["a", "a b a b a"], truncate=False) == [
        [2, 4, 3],
        [2, 4, 5, 4, 5, 4, 3],
    ]


def test_truncation_keeps_the_start_and_the_closing_token(tokenizer_json: Path) -> None:
    assert TextTokenizer(tokenizer_json, 5).encode(["a b a b a b"], truncate=True) == [[2, 4, 5, 4, 3]]


def test_truncation_from_the_left_keeps_the_end_and_both_special_tokens(tokenizer_json: Path) -> None:
    tokenizer = TextTokenizer(tokenizer_json, 5)
    assert tokenizer.encode(["a a a b a b"], truncate=True, direction="left") == [[2, 5, 4, 5, 3]]
    assert tokenizer.encode(["a b"], truncate=True, direction="left") == [[2, 4, 5, 3]]


def test_a_text_that_just_fits_is_not_too_long(tokenizer_json: Path) -> None:
    tokenizer = TextTokenizer(tokenizer_json, 5)
    assert len(tokenizer.encode(["a b a"], truncate=False)[0]) == 5
    with pytest.raises(PayloadTooLarge, match="at most 5 tokens, this one has 6"):
        tokenizer.encode(["a", "a b a b"], truncate=False)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ServiceUnavailable, match="EMBEDDING_MODEL_PATH"):
        TextTokenizer(path, 8)
