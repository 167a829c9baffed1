"""Rewriting a GGUF file's Q5_0 tensors."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

from services.generation.backends.openvino.convert import context_length, refused, requantize

WORDS = ["<s>", "bee", "Grüße", "蜂"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A small file as llama.cpp writes them: metadata of every kind, a Q5_0, a Q8_0 and an F32 tensor."""
    path = tmp_path / "source.gguf"
    random = np.random.default_rng(0)
    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(32768)
    writer.add_token_list(WORDS)
    writer.add_token_types([3, 1, 1, 1])
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_float32("qwen2.rope.freq_base", 1e6)
    for name, kind in (("a.weight", GGMLQuantizationType.Q5_0), ("b.weight", GGMLQuantizationType.Q8_0)):
        weights = random.standard_normal((6, 64)).astype(np.float32)
        writer.add_tensor(name, gguf.quantize(weights, kind), raw_dtype=kind)
    writer.add_tensor("norm", random.standard_normal(64).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_what_is_refused(source: Path) -> None:
    assert refused(source) == ["Q5_0"]


def test_only_refused_tensors_change(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    assert requantize(source, target) == 1
    before = {tensor.name: tensor for tensor in GGUFReader(source).tensors}
    after = {tensor.name: tensor for tensor in GGUFReader(target).tensors}
    assert refused(target) == []
    assert list(before) == list(after)
    assert after["a.weight"].tensor_type == GGMLQuantizationType.Q4_0
    assert list(after["a.weight"].shape) == list(before["a.weight"].shape)
    for name in ("b.weight", "norm"):
        assert after[name].tensor_type == before[name].tensor_type
        assert np.array_equal(after[name].data, before[name].data)


def test_values_stay_within_four_bits(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    requantize(source, target)
    old, new = (
        gguf.dequantize(tensor.data, tensor.tensor_type)
        for tensor in (GGUFReader(source).tensors[0], GGUFReader(target).tensors[0])
    )
    step = np.abs(old).reshape(-1, 32).max(axis=1, keepdims=True) / 8
    assert np.all(np.abs(old - new).reshape(-1, 32) <= step * 1.01)
    assert np.abs(old - new).mean() < 0.1
    assert not np.array_equal(old, new)


def test_metadata_is_kept(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.gguf"
    requantize(source, target)
    old, new = GGUFReader(source), GGUFReader(target)
    assert old.fields.keys() == new.fields.keys()
    for name in old.fields:
        if not name.startswith("GGUF."):
            assert old.fields[name].types == new.fields[name].types
            assert old.fields[name].contents() == new.fields[name].contents()
    assert new.fields["tokenizer.ggml.tokens"].contents() == WORDS
    assert context_length(target) == 32768


def test_a_failure_leaves_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(gguf, "quantize", fail)
    with pytest.raises(OSError, match="disk full"):
        requantize(source, tmp_path / "target.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["source.gguf"]
