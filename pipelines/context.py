"""The context of an answer: passages joined with what stands around them, and frozen under an id. Pure.

A model that reads a passage with its siblings sees where a thought began and how it goes on. What they
repeat of each other (chunks overlap) is shown once, and what lay between them was white space. Frozen, the
ordered passages are what an answer, or all arms of a comparison, come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.core.text import normalise
from services.core.wire.answer import ContextSelection, FileCitation, FrozenContext, RepeatedPassage
from services.core.wire.passages import Passage
from services.core.wire.retrieval import Relevance


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of passages of one document, in order, around `lead`: the best ranked one among them."""

    lead: Passage
    parts: tuple[Passage, ...]

    @property
    def passage(self) -> Passage:
        """The lead with the whole run's text and span, and its own id, header and scores.

        `text` is the document's at [start:end], but for the white space between two parts, which is as
        long as it was.
        """
        return self.lead.model_copy(
            update={"text": _join(self.parts), "start": self.parts[0].start, "end": self.parts[-1].end}
        )


def join_neighbours(ranked: Sequence[Passage], around: Mapping[str, Sequence[Passage]]) -> list[Stretch]:
    """Join the ranked passages, each with its neighbours, in order of rank.

    `around`: by passage id, its siblings with itself among them; those of another revision, and those
    beyond a missing one, are left out. Passages whose neighbourhoods touch make one stretch.
    """
    made: list[Stretch] = []
    for passage in ranked:
        one = Stretch(passage, _collect_run(passage, around.get(passage.id, ())))
        touched = [other for other in made if _touch(one, other)]
        if not touched:
            made.append(one)
            continue
        first = touched[0]
        parts = {part.index: part for stretch in (one, *touched) for part in stretch.parts}
        whole = Stretch(first.lead, tuple(parts[index] for index in sorted(parts)))
        made = [
            whole if other is first else other for other in made if other is first or other not in touched
        ]
    return made


def locate_citations(citations: Sequence[FileCitation], found: Sequence[Stretch]) -> list[FileCitation]:
    """Give each citation the id, page and section of the very passage that its span begins in."""
    parts = [part for stretch in found for part in stretch.parts]

    def place(citation: FileCitation) -> FileCitation:
        for part in parts:
            if part.document_id == citation.file_id and part.start <= citation.start < part.end:
                fields = {"passage_id": part.id, "page": part.page, "section": part.section}
                return citation.model_copy(update=fields)
        return citation

    return [place(citation) for citation in citations]


def _collect_run(lead: Passage, siblings: Sequence[Passage]) -> tuple[Passage, ...]:
    """Collect the siblings without a gap before or after the lead."""
    by_index = {one.index: one for one in siblings if _are_siblings(one, lead)} | {lead.index: lead}
    low = high = lead.index
    while low - 1 in by_index:
        low -= 1
    while high + 1 in by_index:
        high += 1
    return tuple(by_index[index] for index in range(low, high + 1))


def _are_siblings(one: Passage, other: Passage) -> bool:
    return (one.document_id, one.revision) == (other.document_id, other.revision)


def _touch(one: Stretch, other: Stretch) -> bool:
    return (
        _are_siblings(one.lead, other.lead)
        and one.parts[0].index <= other.parts[-1].index + 1
        and other.parts[0].index <= one.parts[-1].index + 1
    )


def _join(parts: Sequence[Passage]) -> str:
    text = parts[0].text
    for before, after in pairwise(parts):
        gap = after.start - before.end
        # a gap of one is a space within a sentence more often than a line's end
        between = " " if gap == 1 else "\n" * gap
        text += between + after.text if gap >= 0 else after.text[-gap:]
    return text


def context_id(passages: Sequence[Passage]) -> str:
    """Hash, as SHA-256 in hex, what a model sees of the passages and where they are from, in order."""
    digest = hashlib.sha256()
    for passage in passages:
        for part in (passage.document_id, passage.header, str(passage.start), str(passage.end), passage.text):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
        if passage.kept is not None:
            digest.update(repr([tuple(span) for span in passage.kept]).encode())
    return digest.hexdigest()


def leave_out_repeated(passages: Sequence[Passage]) -> tuple[list[Passage], list[RepeatedPassage]]:
    """Keep the first passage of each text, in order; white space, and what nobody sees, makes no other text.

    A section does, or an identifier of the question: the same words in another place may be another fact.
    """
    first: dict[tuple[str, ...], Passage] = {}
    repeated = []
    for passage in passages:
        text = " ".join(normalise(passage.text).split())
        kept = first.setdefault((text, passage.section, *(passage.matched or ())), passage)
        if kept is not passage:
            repeated.append(
                RepeatedPassage(
                    id=passage.id,
                    document_id=passage.document_id,
                    title=passage.title,
                    page=passage.page,
                    same_as=kept.id,
                )
            )
    return list(first.values()), repeated


def put_identifiers_first(passages: Sequence[Passage], most: int) -> list[Passage]:
    """Cut a ranking to `most`, so that the prompt has a passage for every identifier of the question.

    First comes the best passage of each identifier, then the others that hold one, then the rest.
    """
    first: list[Passage] = []
    seen: set[str] = set()
    for passage in passages:
        if new := passage.identifiers - seen:
            seen |= new
            first.append(passage)
    holders = [passage for passage in passages if passage.identifiers and passage not in first]
    others = [passage for passage in passages if not passage.identifiers]
    return [*first, *holders, *others][:most]


def freeze(
    passages: Sequence[Passage],
    query: str | None = None,
    *,
    relevance: Relevance | None = None,
    repeated: Sequence[RepeatedPassage] = (),
    selection: ContextSelection | None = None,
) -> FrozenContext:
    """Freeze the passages; `query` is what was searched for, where that is not the question itself."""
    return FrozenContext(
        context_id=context_id(passages),
        passages=list(passages),
        query=query,
        relevance=relevance,
        repeated=list(repeated) or None,
        selection=selection,
    )
