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
from pipelines.evaluation.runner.plan import Chosen, Options
from services.core.errors import ServiceError
from services.core.wire.answer import RagOptions
from services.core.wire.passages import Passage

BATCH = 50
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a question's passages are from; `collection` where they are retrieved."""

    grounds: Grounds
    collection: str = ""


def ground(chosen: Chosen, item: Item, options: Options) -> Ground:
    """As `Options.retrieve` says."""
    if item.passages and options.retrieve is not True:
        return Ground("given")
    if options.retrieve is False:
        return Ground("none")
    if chosen.whole.corpus and not (chosen.own and not item.passages):
        return Ground("retrieved", collection_of(chosen.whole))
    return Ground("retrieved", options.collection) if chosen.own or options.retrieve else Ground("none")


@dataclass(frozen=True, slots=True)
class Contexts:
    """`sources` are the ids of the corpus's sources by those of their documents, where one was brought in."""

    gateway: Gateway
    options: Options
    sources: Mapping[str, str] = field(default_factory=dict)

    async def of(self, asked: RunQuestion, ground: Ground) -> Context:
        """Raises what the search raises, and `ServiceError` where its passages are not those of its id."""
        if ground.grounds != "retrieved":
            passages = given(asked.item) if ground.grounds == "given" else []
            return Context(
                question=asked.id,
                grounds=ground.grounds,
                context=freeze(passages),
                relevant_found=self._relevant(asked.item, passages),
            )
        rag = RagOptions(collection=ground.collection, floor=self.options.floor, top_n=self.options.top_n)
        found = await self.gateway.search(asked.item.question, rag)
        passages = found.context.passages
        if context_id(passages) != found.context.context_id:
            raise ServiceError(
                f"the search for {asked.id} gave passages that are not those of its context_id",
                service=self.gateway.name,
            )
        return Context(
            question=asked.id,
            grounds="retrieved",
            context=found.context,
            timings=found.timings,
            relevant_found=self._relevant(asked.item, passages),
            degraded=tuple(found.degraded),
        )

    def _relevant(self, item: Item, passages: Sequence[Passage]) -> tuple[str, ...]:
        """The relevant id that each passage stands for, by its source, itself, or its document."""
        if not item.relevant:
            return ()
        relevant = set(item.relevant)
        found = []
        for passage in passages:
            ids = (self.sources.get(passage.document_id, ""), passage.id, passage.document_id, passage.title)
            found.append(next((each for each in ids if each in relevant), ""))
        return tuple(found)


def given(item: Item) -> list[Passage]:
    """The item's own passages, each one a document by itself."""
    return [
        Passage(
            id=source.id, document_id=source.id, title=source.title, text=source.text, end=len(source.text)
        )
        for source in item.passages
    ]


def collection_of(dataset: Dataset) -> str:
    """The same corpus, the same name; another corpus, another one."""
    digest = hashlib.sha256()
    for name, source in zip(file_names(dataset.corpus), dataset.corpus, strict=True):
        for part in (source.id, name, source.text):
            digest.update(len(part.encode()).to_bytes(8, "big") + part.encode())
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", dataset.name)[:_NAME_LENGTH]
    return f"eval-{readable}-{digest.hexdigest()[:12]}"


def file_names(corpus: Sequence[Source]) -> list[str]:
    """A document's name for each: its title and its place. Models and the search see it as the heading, so
    it must not be the id, which may say what the passage is good for."""
    return [
        f"{_clean(source.title) or 'passage'} {place}.txt" for place, source in enumerate(corpus, start=1)
    ]


async def ingest(gateway: Gateway, dataset: Dataset, watcher: Watcher) -> dict[str, str]:
    """Bring in what of the corpus is not there; the ids of its sources by those of their documents."""
    collection, names = collection_of(dataset), file_names(dataset.corpus)
    there = await gateway.documents(collection)
    sources = dict(zip(names, dataset.corpus, strict=True))
    missing = [name for name in names if name not in there]
    if missing:
        watcher.begin(f"corpus of {dataset.name}", {collection: Count(len(there), len(names))})
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        there |= await gateway.upload(collection, [(name, sources[name].text) for name in batch])
        for _ in batch:
            watcher.advance(collection)
    return {there[name]: source.id for name, source in sources.items()}


def _clean(title: str) -> str:
    """As a part of a file name: letters, digits and a few signs."""
    return " ".join(re.sub(r"[^\w ,()+-]+", " ", title).split())[:_NAME_LENGTH]
