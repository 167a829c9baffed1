"""The shard that a collection has now, and the copy of it that may take its place.

A graph over many vectors takes minutes to build, and the engine holds the interpreter while it does. So it
is built on a copy, by a process of its own (see `graph` beside this), and then the copy, brought up to date,
becomes the collection's shard in one step: the replacement of the file that names it.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from services.core.files import replace_atomically
from services.retrieval.backends.edge.shard import Shard
from services.retrieval.points import Point

FIRST = "shard"
POINTER = "current.json"
REPLAY = 64
"""Points per step of bringing a copy up to date."""


class Shards:
    """Changes a collection's shard, and replaces it by a copy.

    One thread calls all of these; any thread may read `now`, which is replaced, never changed.
    """

    def __init__(self, folder: Path, now: Shard, indexed: int) -> None:
        self._folder = folder
        self.now = now
        self.indexed = indexed
        self._before: Shard | None = None
        self._touched: set[str] | None = None

    @classmethod
    def create(cls, folder: Path, dim: int) -> Self:
        """Make the first shard of a new collection."""
        return cls(folder, Shard.create(folder / FIRST, dim), 0)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open the shard that is named, and delete others: a copy that a crash left is not up to date."""
        name, indexed = _read_pointer(folder)
        for path in folder.glob(f"{FIRST}*"):
            if path.name != name:
                shutil.rmtree(path, ignore_errors=True)
        now = Shard.load(folder / name, graph=indexed > 0)
        return cls(folder, now, indexed if now.graph else 0)

    def upsert(self, points: Sequence[Point]) -> None:
        """Store points in the shard, and note them for a copy."""
        self._note(point.id for point in points)
        self.now.upsert(points)

    def delete(self, ids: Sequence[str]) -> None:
        """Delete points from the shard, and note them for a copy."""
        self._note(ids)
        self.now.delete(ids)

    def _note(self, ids: Iterable[str]) -> None:
        if self._touched is not None:
            self._touched.update(ids)

    def count_unindexed(self) -> int:
        """Say how many passages, at least, are not in the graph."""
        return self.now.size() - self.indexed

    def fork(self) -> Path:
        """Copy the shard on disk as of now; writes from now on are noted until `adopt` or `abandon`."""
        self.now.flush()
        copy = self._folder / f"{FIRST}.{uuid.uuid4().hex[:8]}"
        self._touched = set()
        shutil.copytree(self.now.path, copy)
        return copy

    def adopt(self, copy: Path) -> None:
        """Let a copy, in which a graph was built, take over with all that was written since the fork."""
        after = Shard.load(copy, graph=True)
        try:
            touched = sorted(self._touched or ())
            for start in range(0, len(touched), REPLAY):
                after.copy_from(self.now, touched[start : start + REPLAY])
            after.flush()
            indexed = after.size() - len(touched)
            _write_pointer(self._folder, copy.name, indexed)
        except BaseException:
            after.close()
            raise
        self._touched = None
        self._before, self.now, self.indexed = self.now, after, indexed

    def abandon(self, copy: Path) -> None:
        """Delete a copy that is not to take over."""
        self._touched = None
        shutil.rmtree(copy, ignore_errors=True)

    def release(self) -> None:
        """Delete the shard that was replaced, once nobody reads it any more."""
        before, self._before = self._before, None
        if before is not None:
            before.close()
            shutil.rmtree(before.path, ignore_errors=True)

    def close(self) -> None:
        self.release()
        self.now.close()


def _read_pointer(folder: Path) -> tuple[str, int]:
    """Read which shard is the collection's, and how many passages are in its graph."""
    try:
        pointer = json.loads((folder / POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return FIRST, 0
    return str(pointer["shard"]), int(pointer["indexed"])


def _write_pointer(folder: Path, shard: str, indexed: int) -> None:
    """Name the collection's shard, durably on return."""
    replace_atomically(folder / POINTER, json.dumps({"shard": shard, "indexed": indexed}))
