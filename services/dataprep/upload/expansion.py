"""Archives in an upload are replaced by the files in them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from services.core.errors import PayloadTooLarge, RaglineError
from services.dataprep.parsing.archives import is_archive
from services.dataprep.parsing.sandbox import Sandbox
from services.dataprep.upload.multipart import Upload


async def expanded(uploads: Sequence[Upload], folder: Path, sandbox: Sandbox) -> list[Upload]:
    """The uploads in their order; the files of an archive are named `archive.zip/inner/path.md`.

    They are unpacked below `folder`, all archives together to what one may unpack to. What is wrong with an
    archive or a file in it is its `error`.
    """
    files: list[Upload] = []
    most = left = sandbox.limits.expanded_bytes
    for number, upload in enumerate(uploads):
        if upload.too_large or not is_archive(upload.name):
            files.append(upload)
            continue
        inside = folder / f"archive-{number}"
        inside.mkdir()
        try:
            members = await sandbox.unpack(upload.path, upload.name, inside)
        except RaglineError as error:
            files.append(replace(upload, error=error))
            continue
        size = sum(each.size for each in members)
        if size > left:
            await asyncio.to_thread(shutil.rmtree, inside)
            words = f"and the archives before it unpack to more than {most} bytes: send it by itself"
            files.append(replace(upload, error=PayloadTooLarge(f"{upload.name} {words}")))
            continue
        left -= size
        files += [Upload(each.name, each.path, each.size, each.sha256, error=each.error) for each in members]
    return files
