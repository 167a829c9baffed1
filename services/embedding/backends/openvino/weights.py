"""Reading a safetensors file with numpy alone.

Layout: eight bytes (little-endian) with the header's length, the header as JSON
(`{"name": {"dtype", "shape", "data_offsets": [from, to]}}`), then the tensors' bytes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from services.core.errors import ServiceUnavailable

HEADER_LIMIT = 100_000_000


class _Tensor(BaseModel):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


_HEADER = TypeAdapter(dict[str, _Tensor])


def read_safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """The file's floating-point tensors by name, as float32, memory-mapped where they are stored so.

    Tensors of integers are left out. Raises `ServiceUnavailable` where the file is missing or damaged.
    """
    try:
        raw = np.memmap(path, np.uint8, "r")
        size = int.from_bytes(raw[:8].tobytes(), "little")
        if not 0 < size < min(HEADER_LIMIT, raw.size):
            raise ValueError(f"a header of {size} bytes cannot be")
        header = _header(raw[8 : 8 + size].tobytes())
        body = raw[8 + size :]
        tensors = {name: _tensor(body, entry) for name, entry in header.items()}
    except (OSError, ValueError) as error:
        raise ServiceUnavailable(
            f"cannot read weights from {path}: {error}; fetch the model again or set EMBEDDING_MODEL_PATH"
        ) from error
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _header(text: bytes) -> dict[str, _Tensor]:
    try:
        header = TypeAdapter(dict[str, dict[str, object]]).validate_json(text)
        header.pop("__metadata__", None)
        return _HEADER.validate_python(header)
    except ValidationError as error:
        raise ValueError("its header is not that of a safetensors file") from error


def _tensor(body: NDArray[np.uint8], entry: _Tensor) -> NDArray[np.float32] | None:
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
