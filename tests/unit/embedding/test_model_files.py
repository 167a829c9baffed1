"""A model's files: its weights and its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from services.core.errors import PayloadTooLarge, ServiceUnavailable
from services.embedding.backends.openvino.files import TextTokenizer, read_safetensors


def write(path: Path, tensors: dict[str, tuple[str, list[int], bytes]], *, cut: int = 0) -> Path:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + body
    path.write_bytes(content[: len(content) - cut])
    return path


def test_every_float_type_becomes_float32(tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5, 0.0], [3.25, 100.0, -0.5]], np.float32)
    bfloat16 = (values.view(np.uint32) >> 16).astype(np.uint16)
    path = write(
        tmp_path / "m.safetensors",
        {
            "full": ("F32", [2, 3], values.tobytes()),
            "half": ("F16", [2, 3], values.astype(np.float16).tobytes()),
            "brain": ("BF16", [2, 3], bfloat16.tobytes()),
            "positions": ("I64", [2], np.arange(2).tobytes()),
        },
    )
    tensors = read_safetensors(path)
    assert set(tensors) == {"full", "half", "brain"}
    for tensor in tensors.values():
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor, values)


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 64, (8).to_bytes(8, "little") + b"not json" * 2]
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ServiceUnavailable, match="EMBEDDING_MODEL_PATH"):
        read_safetensors(path)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    raw = np.zeros(8, np.float32).tobytes()
    path = write(tmp_path / "m.safetensors", {"w": ("F32", [8], raw)}, cut=4)
    with pytest.raises(ServiceUnavailable, match="shorter than its header says"):
        read_safetensors(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"gone\.safetensors"):
        read_safetensors(tmp_path / "gone.safetensors")


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
