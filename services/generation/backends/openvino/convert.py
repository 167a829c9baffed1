"""`python -m services.generation.backends.openvino.convert GGUF FOLDER` makes an OpenVINO model, once.

It is a process of its own, because converting takes minutes of CPU and gigabytes of memory that a service
must not keep, and because its numpy part would hold up the service's event loop. Tensors of types that
openvino-genai does not read are rewritten as Q4_0 first.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import openvino_genai as genai
from filelock import FileLock
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter

from services.generation.backends.openvino.folder import DONE

OPENVINO_TYPES = frozenset(
    {
        GGMLQuantizationType.F32,
        GGMLQuantizationType.F16,
        GGMLQuantizationType.Q4_0,
        GGMLQuantizationType.Q4_1,
        GGMLQuantizationType.Q4_K,
        GGMLQuantizationType.Q6_K,
        GGMLQuantizationType.Q8_0,
    }
)
"""What openvino-genai's GGUF reader takes; Q5_0, which Q4_K_M files fall back to, is not among them."""

TARGET = GGMLQuantizationType.Q4_0


def convert(source: Path, folder: Path) -> None:
    """Make `folder` from the file `source`, atomically.

    It waits where another process is making the folder, and then does nothing.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if (folder / DONE).exists():
            return
        staging = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            _build(source, staging)
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _forget_older(folder)


def _build(source: Path, staging: Path) -> None:
    model = staging / "model.gguf"
    if refused(source):
        requantize(source, model)
    else:
        model.symlink_to(source.resolve())
    tokenizer = genai.Tokenizer(str(model), enable_save_ov_model=True)
    genai.ContinuousBatchingPipeline(
        str(model), tokenizer, genai.SchedulerConfig(), "CPU", enable_save_ov_model=True
    )
    model.unlink()
    about = {"context_length": context_length(source), "source": str(source.resolve())}
    (staging / DONE).write_text(json.dumps(about), encoding="utf-8")


def _forget_older(folder: Path) -> None:
    """Delete what was made from the same file by another engine version, or before the file changed."""
    source = _source(folder)
    for other in folder.parent.iterdir():
        if other != folder and _source(other) == source:
            shutil.rmtree(other, ignore_errors=True)


def _source(folder: Path) -> object:
    try:
        return json.loads((folder / DONE).read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError):
        return None


def refused(path: Path) -> list[str]:
    """The names of the types in this file that openvino-genai does not read, sorted."""
    reader = GGUFReader(path)
    return sorted(
        {tensor.tensor_type.name for tensor in reader.tensors} - {kind.name for kind in OPENVINO_TYPES}
    )


def requantize(source: Path, target: Path) -> int:
    """Write `source` to `target` with the refused tensors as Q4_0; everything else byte for byte.

    Atomic: `target` appears whole or not at all. Returns how many tensors changed.
    """
    reader = GGUFReader(source)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    writer = GGUFWriter(partial, _text(reader, "general.architecture"), endianess=reader.endianess)
    try:
        _copy_metadata(reader, writer)
        changed = _copy_tensors(reader, writer)
        writer.close()
        partial.replace(target)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)
    return changed


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)


def _copy_tensors(reader: GGUFReader, writer: GGUFWriter) -> int:
    """The header needs every tensor's size before the first one's data, so types are settled first."""
    changed = [tensor for tensor in reader.tensors if tensor.tensor_type not in OPENVINO_TYPES]
    names = {tensor.name for tensor in changed}
    for tensor in reader.tensors:
        if tensor.name in names:
            elements = [int(size) for size in reversed(tensor.shape)]
            shape = gguf.quant_shape_to_byte_shape(elements, TARGET)
            size = int(np.prod(shape))
            writer.add_tensor_info(tensor.name, shape, np.dtype(np.uint8), size, TARGET)
        else:
            data = tensor.data
            writer.add_tensor_info(tensor.name, data.shape, data.dtype, data.nbytes, tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        data = tensor.data
        if tensor.name in names:
            values = gguf.dequantize(data, tensor.tensor_type)
            data = gguf.quantize(values, TARGET)
        writer.write_tensor_data(data, tensor_endianess=reader.endianess)
    return len(changed)


def _text(reader: GGUFReader, key: str) -> str:
    field = reader.get_field(key)
    return str(field.contents()) if field else "unknown"


def context_length(path: Path) -> int | None:
    """The longest context the model was trained for, in tokens; None where the file does not say."""
    reader = GGUFReader(path)
    field = reader.get_field(f"{_text(reader, 'general.architecture')}.context_length")
    return int(field.contents()) if field else None


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
