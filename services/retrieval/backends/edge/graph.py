"""Building graphs in the background: the copy, the child process that builds, and the swap."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from services.core.children import build_command
from services.core.disk import DiskGuard
from services.core.errors import NotFound, ServiceError
from services.retrieval.backends.edge.threads import CollectionThreads

log = structlog.get_logger(__name__)


COPIES = 2
"""A build copies the collection, and what it builds may be as large."""


class GraphBuilds:
    """Runs at most one build at a time; one that fails is not tried again before the next start."""

    def __init__(self, index_from: int, disk: DiskGuard) -> None:
        self._index_from = index_from
        self._disk = disk
        self._task: asyncio.Task[None] | None = None
        self._failed: set[str] = set()

    def consider(self, threads: CollectionThreads, unindexed: int) -> None:
        """Begin a build where so many passages are in no graph that one pays."""
        if not self._index_from or self._task is not None or threads.entry.name in self._failed:
            return
        if unindexed >= self._index_from:
            self._task = asyncio.ensure_future(self._build(threads))
            self._task.add_done_callback(self._forget_task)

    def _forget_task(self, _: asyncio.Task[None]) -> None:
        self._task = None

    async def _build(self, threads: CollectionThreads) -> None:
        name = threads.entry.name
        needed = COPIES * await asyncio.to_thread(count_bytes, threads.entry.folder)
        if not self._disk.has(needed):
            log.warning("no space to build the graph of a collection", collection=name, needed=needed)
            return
        try:
            copy = await threads.write(lambda on_disk: on_disk.shards.fork())
            log.info("building the graph of a collection", collection=name)
            try:
                await _build_in_child(copy, threads.entry.schema.dim)
                await threads.replace(copy)
            except BaseException:
                await threads.write(lambda on_disk: on_disk.shards.abandon(copy))
                raise
            log.info("the graph of a collection is built", collection=name)
        except NotFound:
            return  # dropped or closed meanwhile: the folder is gone, or the next opening removes the copy
        except Exception as error:  # noqa: BLE001 - the engine raises plain Exception; searches stay exact
            self._failed.add(name)
            log.warning("the graph of a collection was not built", collection=name, reason=str(error))

    async def wait_idle(self) -> None:
        """Return when no build is under way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop a build that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def count_bytes(folder: Path) -> int:
    """Count the bytes of the files below a folder, as far as they are on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


async def _build_in_child(copy: Path, dim: int) -> None:
    """Run `build.py`. Raises `ServiceError` with the end of what it wrote where it fails."""
    child = await asyncio.create_subprocess_exec(
        *build_command("services.retrieval.backends.edge.build", str(copy), str(dim)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await child.communicate()
    except BaseException:
        child.kill()
        await child.wait()
        raise
    if child.returncode != 0:
        raise ServiceError(f"exit status {child.returncode}: {errors.decode('utf-8', 'replace')[-500:]}")
