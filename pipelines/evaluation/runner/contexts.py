"""The frozen context of a question: the passages that came with it, those that a search finds, or none.

A data set's corpus is searched in a collection of its own: it is brought in once, and found again by the hash
in the collection's name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.context import context_id, freeze
from pipelines.evaluation.bundle.records import Context, Grounds, RunQuestion
from pipelines.evaluation.datasets.items import Dataset, Item, Source
from pipelines.evaluation.runner import Count, Watcher
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import ChosenDataset, Options
from services.core.errors import ServiceError
from services.core.wire.answer import RagOptions
from services.core.wire.passages import Passage

UPLOAD_BATCH = 50
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class PassageOrigin:
    """Where a question's passages come from; `collection` is set where they are retrieved."""

    grounds: Grounds
    collection: str = ""


def choose_origin(dataset: ChosenDataset, item: Item, options: Options) -> PassageOrigin:
    """Decide where an item's passages come from, as `Options.retrieve` says."""
    if item.passages and options.retrieve is not True:
        return PassageOrigin("given")
    if options.retrieve is False:
        return PassageOrigin("none")
    if dataset.whole.corpus and not (dataset.own and not item.passages):
        return PassageOrigin("retrieved", name_corpus_collection(dataset.whole))
    if dataset.own or options.retrieve:
        return PassageOrigin("retrieved", options.collection)
    return PassageOrigin("none")


@dataclass(frozen=True, slots=True)
class ContextBuilder:
    """Builds frozen contexts. `sources` are the ids of a corpus's sources by the ids of their documents."""

    gateway: Gateway
    options: Options
    sources: Mapping[str, str] = field(default_factory=dict)

    async def build(self, question: RunQuestion, origin: PassageOrigin) -> Context:
        """Find a question's passages and freeze them.

        Raises:
            RaglineError: What the search raises.
            ServiceError: The passages found are not those of the context id that came with them.
        """
        if origin.grounds != "retrieved":
            passages = freeze_own_passages(question.item) if origin.grounds == "given" else []
            return Context(
                question=question.id,
                grounds=origin.grounds,
                context=freeze(passages),
                relevant_found=self._match_relevant(question.item, passages),
            )
        rag = RagOptions(collection=origin.collection, floor=self.options.floor, top_n=self.options.top_n)
        reply = await self.gateway.search(question.item.question, rag)
        passages = reply.context.passages
        if context_id(passages) != reply.context.context_id:
            raise ServiceError(
                f"the search for {question.id} gave passages that are not those of its context_id",
                service=self.gateway.name,
            )
        return Context(
            question=question.id,
            grounds="retrieved",
            context=reply.context,
            timings=reply.timings,
            relevant_found=self._match_relevant(question.item, passages),
            degraded=tuple(reply.degraded),
        )

    def _match_relevant(self, item: Item, passages: Sequence[Passage]) -> tuple[str, ...]:
        """Match each passage with its relevant id, "" where it has none: its source's, its own or its
        document's."""
        if not item.relevant:
            return ()
        relevant = set(item.relevant)
        relevant_ids = []
        for passage in passages:
            ids = (self.sources.get(passage.document_id, ""), passage.id, passage.document_id, passage.title)
            relevant_ids.append(next((id_ for id_ in ids if id_ in relevant), ""))
        return tuple(relevant_ids)


def freeze_own_passages(item: Item) -> list[Passage]:
    """Make passages of the item's own texts, each one a document by itself."""
    return [
        Passage(
            id=source.id, document_id=source.id, title=source.title, text=source.text, end=len(source.text)
        )
        for source in item.passages
    ]


def name_corpus_collection(dataset: Dataset) -> str:
    """Name the collection for a data set's corpus: the same corpus has the same name, another corpus
    another one."""
    digest = hashlib.sha256()
    for name, source in zip(name_corpus_files(dataset.corpus), dataset.corpus, strict=True):
        for part in (source.id, name, source.text):
            digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", dataset.name)[:_NAME_LENGTH]
    return f"eval-{readable}-{digest.hexdigest()[:12]}"


def name_corpus_files(corpus: Sequence[Source]) -> list[str]:
    """Name a file for each source: its title and its place.

    Models and the search see the name as the heading, so it must not be the id, which may say what the
    passage is good for.
    """
    return [
        f"{_clean_title(source.title) or 'passage'} {place}.txt"
        for place, source in enumerate(corpus, start=1)
    ]


async def ingest_corpus(gateway: Gateway, dataset: Dataset, watcher: Watcher) -> dict[str, str]:
    """Bring in what of the corpus is not there yet.

    Returns:
        The ids of the corpus's sources by the ids of their documents.
    """
    collection, names = name_corpus_collection(dataset), name_corpus_files(dataset.corpus)
    documents = await gateway.documents(collection)
    sources = dict(zip(names, dataset.corpus, strict=True))
    missing = [name for name in names if name not in documents]
    if missing:
        watcher.begin(f"corpus of {dataset.name}", {collection: Count(len(documents), len(names))})
    for start in range(0, len(missing), UPLOAD_BATCH):
        batch = missing[start : start + UPLOAD_BATCH]
        documents |= await gateway.upload(collection, [(name, sources[name].text) for name in batch])
        for _ in batch:
            watcher.advance(collection)
    return {documents[name]: source.id for name, source in sources.items()}


def _clean_title(title: str) -> str:
    """Clean a title for a file name: letters, digits and a few signs."""
    return " ".join(re.sub(r"[^\w ,()+-]+", " ", title).split())[:_NAME_LENGTH]
