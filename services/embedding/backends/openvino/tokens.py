"""Tokenization with a Hugging Face `tokenizer.json`, and the limit on a text's length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from services.core.errors import PayloadTooLarge, ServiceUnavailable
from services.core.wire.embedding import Direction, Token


class TextTokenizer:
    """Token ids of texts, special tokens included, at most `limit` per text. Thread-safe."""

    def __init__(self, path: Path, limit: int) -> None:
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
        """Token ids per text. Truncation cuts at the right or left end and keeps both special tokens.

        Raises `PayloadTooLarge` where a text has more tokens than `limit` and `truncate` is off.
        """
        return [
            self._fit(encoding.ids, truncate=truncate, direction=direction)
            for encoding in self._tokenizer.encode_batch_fast(list(texts))
        ]

    def tokens(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[Token]]:
        """Every token of each text, without truncation, with offsets in characters."""
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
