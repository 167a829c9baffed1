"""One collection on disk: passages in a shard, token vectors and hidden revisions in files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from services.retrieval.backends.edge.files import RevisionFile, TokenFile
from services.retrieval.backends.edge.reader import ID, OWNER, TOKEN_ROW, CollectionReader, token_rows
from services.retrieval.backends.edge.shard import document_filter, revision_filter
from services.retrieval.backends.edge.shards import Shards
from services.retrieval.points import Point
from services.retrieval.revisions import (
    RevisionKey,
    require_own_ids,
    require_passages,
    revision_key,
    select_revisions,
)


class EdgeCollection(CollectionReader):
    """Writes and reads a collection; it blocks.

    One thread may write (`upsert`, `hide_others`, `hide`, `purge`) while another reads.

    A passage's point is the record of both of its parts: it names the row of its token vectors. Rows
    are therefore written before the point that names them and removed after the point is gone or names
    another, and a crash in between leaves rows that nothing names, which the next `load` removes.
    """

    def __init__(self, shards: Shards, tokens: TokenFile, revisions: RevisionFile) -> None:
        super().__init__(shards, tokens, revisions)
        self._clean = True

    @classmethod
    def create(cls, folder: Path, dim: int) -> Self:
        """Make the files of a new collection."""
        shards = Shards.create(folder, dim)
        return cls(shards, TokenFile(folder / "tokens.db"), RevisionFile(folder / "revisions.db"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open, and finish what a crash interrupted. Staged revisions stay."""
        shards = Shards.load(folder)
        try:
            tokens = TokenFile(folder / "tokens.db")
            collection = cls(shards, tokens, RevisionFile(folder / "revisions.db"))
        except BaseException:
            shards.close()
            raise
        if tokens.crashed:
            named = token_rows(stored.payload for stored in shards.now.scroll([ID, TOKEN_ROW]))
            tokens.keep_only(set(named.values()))
        collection.purge(collection._revisions.hidden.doomed)
        return collection

    def upsert(self, points: Sequence[Point], *, staged: bool = False) -> None:
        """Store these, each id given once; durable on return, also through a power failure.

        Args:
            staged: Hide the revisions of the points, except those that readers see already.

        Raises:
            Conflict: A staged point has the id of another revision's.
        """
        present = self._shard.payloads([point.id for point in points], [*OWNER, TOKEN_ROW])
        offered = {str(point.payload[ID]): revision_key(point.payload) for point in points}
        if staged:
            require_own_ids(present, offered)
        self.purge(set(offered.values()) & self._revisions.hidden.doomed)
        if staged:
            self._stage(set(offered.values()))
        replaced = token_rows(present)
        with self._note_failure():
            self.shards.upsert(self._name_rows(points))
            self._shard.save()
            self._tokens.remove(replaced.values())

    def _stage(self, revisions: set[RevisionKey]) -> None:
        """Hide these before they have points, except those that readers see already."""
        hidden = self._revisions.hidden
        fresh = {
            revision
            for revision in revisions
            if revision not in hidden and not self._shard.count(revision_filter(revision))
        }
        if fresh:
            self._revisions.set(hidden.stage(fresh))

    def _name_rows(self, points: Sequence[Point]) -> list[Point]:
        """Store token vectors, and let each point name the row where its own are now."""
        rows = iter(self._tokens.add([p.token_vectors for p in points if p.token_vectors is not None]))
        return [
            point
            if point.token_vectors is None
            else replace(point, payload={**point.payload, TOKEN_ROW: next(rows)})
            for point in points
        ]

    def hide_others(self, shown: RevisionKey, expected: int | None) -> tuple[set[RevisionKey], int]:
        """Show this revision and hide what was seen of its document: one step, durable on return.

        Args:
            expected: How many passages the revision must have; None for any number.

        Returns:
            The revisions that are now to be purged, and how many passages of them are stored.

        Raises:
            Conflict: The revision has no passages, or another number than `expected`.
        """
        hidden = self._revisions.hidden
        stored = 0 if shown in hidden.doomed else self._shard.count(revision_filter(shown))
        require_passages(shown, stored, expected)
        others = self._stored_revisions(shown[0]) - {shown} - hidden.staged
        if others or shown in hidden:
            self._revisions.set(hidden.publish(shown, others))
        return others, self._count_of(others - hidden.doomed)

    def hide(self, document_id: str, *, keep: str | None, only: str | None) -> tuple[set[RevisionKey], int]:
        """Hide a document's revisions, in one step.

        Args:
            keep: Where given, hide all revisions but this one.
            only: Where given, hide this revision alone.

        Returns:
            The revisions that are now to be purged, and how many passages of them were not doomed before.
        """
        hidden = self._revisions.hidden
        known = hidden.of(document_id)
        stored = self._stored_revisions(document_id)
        revisions = select_revisions(stored | known.staged | known.doomed, keep=keep, only=only)
        if revisions:
            self._revisions.set(hidden.doom(revisions))
        return revisions, self._count_of(revisions - hidden.doomed)

    def purge(self, revisions: Iterable[RevisionKey]) -> None:
        """Delete hidden revisions' points, all of a revision at once, and forget them."""
        revisions = set(revisions)
        for revision in revisions:
            doomed = list(self._shard.scroll([ID, TOKEN_ROW], revision_filter(revision)))
            if doomed:
                with self._note_failure():
                    self.shards.delete([stored.id for stored in doomed])
                    self._shard.save()
                    self._tokens.remove(token_rows(stored.payload for stored in doomed).values())
        if revisions:
            self._revisions.set(self._revisions.hidden.forget(revisions))

    def _stored_revisions(self, document_id: str) -> set[RevisionKey]:
        points = self._shard.scroll(OWNER, document_filter(document_id))
        return {revision_key(stored.payload) for stored in points}

    def close(self) -> None:
        self.shards.close()
        self._tokens.close(clean=self._clean)
        self._revisions.close()

    @contextmanager
    def _note_failure(self) -> Iterator[None]:
        """Let the next `load` look for rows to clean up, where the body fails half way."""
        try:
            yield
        except BaseException:
            self._clean = False
            raise
