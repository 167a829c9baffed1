"""Archives in an upload are replaced by the files in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from services.core.errors import RaglineError
from services.dataprep.archives import is_archive
from services.dataprep.sandbox import Sandbox
from services.dataprep.uploads import Upload


async def expanded(uploads: Sequence[Upload], folder: Path, sandbox: Sandbox) -> list[Upload]:
    """The uploads in their order; the files of an archive are named `archive.zip/inner/path.md`.

    They are unpacked below `folder`. What is wrong with an archive or a file in it is its `error`.
    """
    files: list[Upload] = []
    for number, upload in enumerate(uploads):
        if upload.too_large or not is_archive(upload.name):
            files.append(upload)
            continue
        inside = folder / f"archive-{number}"
        inside.mkdir()
        try:
            members = await sandbox.expand(upload.path, upload.name, inside)
        except RaglineError as error:
            files.append(replace(upload, error=error))
            continue
        files += [Upload(each.name, each.path, each.size, each.sha256, error=each.error) for each in members]
    return files
