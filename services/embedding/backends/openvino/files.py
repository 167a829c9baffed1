"""A model's files, as the Hugging Face hub has them: weights in safetensors, and the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError
from tokenizers import Tokenizer

from services.core.errors import InvalidRequest, PayloadTooLarge, ServiceUnavailable
from services.core.wire.embedding import Direction, Token

HEADER_LIMIT = 100_000_000


class _Tensor(BaseModel):
    """An entry of a safetensors file's header."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


_HEADER = TypeAdapter(dict[str, _Tensor])


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a file's floating-point tensors by name, as float32, memory-mapped where they are stored so.

    Layout: eight bytes (little-endian) with the header's length, the header as JSON
    (`{"name": {"dtype", "shape", "data_offsets": [from, to]}}`), then the tensors' bytes. Tensors of integers
    are left out.

    Raises:
        ServiceUnavailable: The file is missing or damaged.
    """
    try:
        raw = np.memmap(path, np.uint8, "r")
        size = int.from_bytes(raw[:8].tobytes(), "little")
        if not 0 < size < min(HEADER_LIMIT, raw.size):
            raise ValueError(f"a header of {size} bytes cannot be")
        header = _read_header(raw[8 : 8 + size].tobytes())
        body = raw[8 + size :]
        tensors = {name: _read_tensor(body, entry) for name, entry in header.items()}
    except (OSError, ValueError) as error:
        raise ServiceUnavailable(
            f"cannot read weights from {path}: {error}; fetch the model again or set EMBEDDING_MODEL_PATH"
        ) from error
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _read_header(text: bytes) -> dict[str, _Tensor]:
    try:
        header = TypeAdapter(dict[str, dict[str, object]]).validate_json(text)
        header.pop("__metadata__", None)
        return _HEADER.validate_python(header)
    except ValidationError as error:
        raise ValueError("its header is not that of a safetensors file") from error


def _read_tensor(body: NDArray[np.uint8], entry: _Tensor) -> NDArray[np.float32] | None:
    start, stop = entry.data_offsets
    data = body[start:stop]
    if data.size != stop - start:
        raise ValueError("the file is shorter than its header says")
    match entry.dtype:
        case "F32":
            values: NDArray[np.float32] = data.view("<f4")
        case "F16":
            values = data.view("<f2").astype(np.float32)
        case "BF16":
            values = (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
        case _:
            return None
    return values.reshape(entry.shape)


class TextTokenizer:
    """Tokenizes with a `tokenizer.json`: special tokens included, at most `limit` per text. Thread-safe."""

    def __init__(self, path: Path, limit: int) -> None:
        """Read the file.

        Raises:
            ServiceUnavailable: The file is missing or damaged.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise ServiceUnavailable(
                f"cannot read the tokenizer {path}: {error}; "
                "fetch the model again or set EMBEDDING_MODEL_PATH"
            ) from error
        # the file may carry both, with limits of its own
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.limit = limit

    def encode(
        self, texts: Sequence[str], *, truncate: bool, direction: Direction = "right"
    ) -> list[list[int]]:
        """Turn texts into token ids. Truncation cuts at the right or left end and keeps both special tokens.

        Raises:
            PayloadTooLarge: A text has more tokens than `limit`, and `truncate` is off.
        """
        return [
            self._fit(encoding.ids, truncate=truncate, direction=direction)
            for encoding in self._tokenizer.encode_batch_fast(list(texts))
        ]

    def tokens(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        """Split texts into tokens, without truncation, with offsets in characters."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=add_special_tokens)
        return [
            [
                Token(number, name, True) if special else Token(number, text[start:stop], False, start, stop)
                for number, name, (start, stop), special in zip(
                    encoding.ids,
                    encoding.tokens,
                    encoding.offsets,
                    encoding.special_tokens_mask,
                    strict=True,
                )
            ]
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        """Turn token ids into the texts that they stand for.

        Raises:
            InvalidRequest: An id is past the vocabulary's end; the library would leave it out without a word.
        """
        size = self._tokenizer.get_vocab_size()
        for text in ids:
            if text and max(text) >= size:
                raise InvalidRequest(
                    f"token id {max(text)} is not in the model's vocabulary of {size} tokens: send ids of "
                    "its own tokenizer (OpenAI's tiktoken is another one), or texts"
                )
        lists = [list(text) for text in ids]
        return self._tokenizer.decode_batch(lists, skip_special_tokens=skip_special_tokens)

    def _fit(self, ids: list[int], *, truncate: bool, direction: Direction) -> list[int]:
        if len(ids) <= self.limit:
            return ids
        if not truncate:
            raise PayloadTooLarge(
                f"`inputs` must have at most {self.limit} tokens, this one has {len(ids)}: "
                "shorten it or set `truncate`"
            )
        if direction == "left":
            return [ids[0], *ids[len(ids) - self.limit + 1 :]]
        return [*ids[: self.limit - 1], ids[-1]]
