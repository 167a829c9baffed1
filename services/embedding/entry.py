"""What is kept of one embedded text, in memory and as bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

INT8_SCALE = 127
SPECIAL = 1
"""Special tokens at either end of a text's states."""

OBJECT_BYTES = 500
"""What an entry costs besides its arrays' contents: three objects and the key."""

_HEADER = struct.Struct("<4sIIi")
_FORMAT = b"rle1"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """`vector`: float32, as the model gives it, not normalised. `tokens`: how many the text has, special ones
    included. `token_vectors`: int8 (its own tokens, dim); None where they were not asked for."""

    vector: NDArray[np.float32]
    tokens: int
    token_vectors: NDArray[np.int8] | None = None

    @property
    def nbytes(self) -> int:
        packed = 0 if self.token_vectors is None else self.token_vectors.nbytes
        return OBJECT_BYTES + self.vector.nbytes + packed

    def to_bytes(self) -> bytes:
        rows = -1 if self.token_vectors is None else len(self.token_vectors)
        header = _HEADER.pack(_FORMAT, len(self.vector), self.tokens, rows)
        packed = b"" if self.token_vectors is None else self.token_vectors.tobytes()
        return header + self.vector.astype("<f4").tobytes() + packed

    @classmethod
    def from_bytes(cls, raw: bytes) -> Entry | None:
        """None for bytes that are not an entry, or not a whole one."""
        if len(raw) < _HEADER.size:
            return None
        name, dim, tokens, rows = _HEADER.unpack_from(raw)
        start = _HEADER.size + 4 * dim
        if name != _FORMAT or len(raw) != start + max(rows, 0) * dim:
            return None
        vector: NDArray[np.float32] = np.frombuffer(raw, "<f4", dim, _HEADER.size)
        if rows < 0:
            return cls(vector, tokens)
        return cls(vector, tokens, np.frombuffer(raw, np.int8, rows * dim, start).reshape(rows, dim))


def int8_rows(states: NDArray[np.float32], prefix: int = 0) -> NDArray[np.int8]:
    """A text's hidden states (tokens, dim) as the int8 unit vectors of its own tokens: without the special
    ones and those of the `prefix` tokens before it."""
    own = states[SPECIAL + prefix : -SPECIAL]
    lengths = np.maximum(np.linalg.norm(own, axis=-1, keepdims=True), np.float32(1e-12))
    rows: NDArray[np.int8] = np.rint(own * (np.float32(INT8_SCALE) / lengths)).astype(np.int8)
    return rows


def key_of(*parts: str) -> bytes:
    """The hash of all that decides what a text is embedded to."""
    digest = blake2b(digest_size=20)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.digest()
