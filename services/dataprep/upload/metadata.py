"""Metadata that comes with an upload: a form field for all its files, and files beside files for one each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from services.core.errors import InvalidRequest, RaglineError
from services.core.wire.base import Metadata
from services.core.wire.dataprep import SIDECAR
from services.dataprep.upload.multipart import Upload

RESERVED = frozenset({"document_id", "title", "section", "page", "warnings", "boxes"})
KEYS = 64
LENGTH = 1000
SIDECAR_BYTES = 64 * 1024

_METADATA: TypeAdapter[Metadata] = TypeAdapter(Metadata)


def read_metadata(text: str | bytes, where: str) -> Metadata:
    """Read an object of JSON: texts, numbers, true or false, and lists of texts.

    Args:
        text: The JSON; empty for none.
        where: What it is, as errors say.

    Raises:
        InvalidRequest: It is something else, or a key is taken by a passage's own field.
    """
    if not text.strip():
        return {}
    try:
        found = _METADATA.validate_python(json.loads(text), strict=False)
    except (ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        at = "" if first is None else f" at {'.'.join(map(str, first['loc'][:1])) or 'its top'}"
        raise InvalidRequest(
            f"{where} is no JSON object of texts, numbers, true, false and lists of texts{at}: "
            'send such as {"author": "Ana", "year": 2026}'
        ) from None
    if taken := sorted(RESERVED & set(found)):
        raise InvalidRequest(f"{where}: {', '.join(taken)} is a field of its own: give it another name")
    too_long = any(
        len(part) > LENGTH
        for key, value in found.items()
        for part in (key, *(value if isinstance(value, list) else [str(value)]))
    )
    if len(found) > KEYS or too_long:
        raise InvalidRequest(f"{where} has more than {KEYS} keys, or a text of more than {LENGTH} characters")
    return found


def attach_sidecars(uploads: Sequence[Upload]) -> list[tuple[Upload, Metadata]]:
    """Give each file the metadata of the file beside it, which is no document then.

    What is wrong with it is the error of the file that it describes.
    """
    named = {upload.name for upload in uploads}
    beside: dict[str, Upload] = {
        upload.name.removesuffix(SIDECAR): upload
        for upload in uploads
        if upload.name.endswith(SIDECAR) and upload.name.removesuffix(SIDECAR) in named
    }
    found: list[tuple[Upload, Metadata]] = []
    for upload in uploads:
        if upload is beside.get(upload.name.removesuffix(SIDECAR)):
            continue
        metadata: Metadata = {}
        sidecar = beside.get(upload.name)
        if sidecar is not None and upload.error is None:
            try:
                metadata = _read_sidecar(sidecar)
            except RaglineError as error:
                upload = replace(upload, error=error)  # noqa: PLW2901 - the same file, with its error
        found.append((upload, metadata))
    return found


def _read_sidecar(sidecar: Upload) -> Metadata:
    if sidecar.error is not None:
        raise sidecar.error
    if sidecar.size > SIDECAR_BYTES or sidecar.too_large:
        raise InvalidRequest(f"{sidecar.name} is larger than {SIDECAR_BYTES} bytes")
    return read_metadata(sidecar.path.read_bytes(), sidecar.name)
