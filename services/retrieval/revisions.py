"""Which of the stored revisions readers must not see.

A document is replaced by storing its new revision hidden (`staged`) and then, in one step, showing it and
hiding the one that it replaces (`doomed`), whose points are deleted once nobody reads them any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.core.errors import Conflict
from services.retrieval.payload import DOCUMENT_ID, REVISION

Pair = tuple[str, str]
"""Document id and revision."""


@dataclass(frozen=True)
class Hidden:
    """A value: a writer replaces it by another, and a reader keeps the one that it began with."""

    staged: frozenset[Pair] = field(default=frozenset())
    doomed: frozenset[Pair] = field(default=frozenset())

    def __contains__(self, pair: Pair) -> bool:
        return pair in self.staged or pair in self.doomed

    def __len__(self) -> int:
        return len(self.staged) + len(self.doomed)

    def stage(self, pairs: Iterable[Pair]) -> Hidden:
        return Hidden(self.staged | frozenset(pairs), self.doomed)

    def publish(self, shown: Pair, doomed: Iterable[Pair]) -> Hidden:
        doomed = frozenset(doomed)
        return Hidden(self.staged - {shown} - doomed, (self.doomed | doomed) - {shown})

    def doom(self, pairs: Iterable[Pair]) -> Hidden:
        pairs = frozenset(pairs)
        return Hidden(self.staged - pairs, self.doomed | pairs)

    def forget(self, pairs: Iterable[Pair]) -> Hidden:
        """Of pairs that have no points any more."""
        pairs = frozenset(pairs)
        return Hidden(self.staged - pairs, self.doomed - pairs)

    def of(self, document_id: str) -> Hidden:
        return Hidden(
            frozenset(pair for pair in self.staged if pair[0] == document_id),
            frozenset(pair for pair in self.doomed if pair[0] == document_id),
        )


def pair_of(payload: Mapping[str, object]) -> Pair:
    return str(payload[DOCUMENT_ID]), str(payload[REVISION])


def selected(pairs: Iterable[Pair], *, keep: str | None, only: str | None) -> set[Pair]:
    """The pairs of one document that a deletion means."""
    return {pair for pair in pairs if (only is None or pair[1] == only) and (keep is None or pair[1] != keep)}


def require_passages(pair: Pair, stored: int, expected: int | None) -> None:
    """Raises `Conflict` where publishing would leave the document without passages, or without some."""
    document_id, revision = pair
    if stored == 0:
        raise Conflict(
            f"no passage of revision {revision!r} of document {document_id!r} is stored: store them with "
            "`staged` first (POST /v1/passages), then publish"
        )
    if expected is not None and stored != expected:
        raise Conflict(
            f"{stored} passages of revision {revision!r} of document {document_id!r} are stored, "
            f"{expected} are to be published: store them again, then publish"
        )


def require_own_ids(stored: Iterable[Mapping[str, object]], offered: Mapping[str, Pair]) -> None:
    """Raises `Conflict` where a staged passage would overwrite one of another revision, which may be seen.

    `stored` are the payloads (id, document and revision) of the ids of `offered`.
    """
    for payload in stored:
        if offered[str(payload["id"])] != pair_of(payload):
            raise Conflict(
                f"passage {payload['id']!r} is stored for revision {payload[REVISION]!r} of document "
                f"{payload[DOCUMENT_ID]!r}: a staged revision needs passage ids of its own"
            )
