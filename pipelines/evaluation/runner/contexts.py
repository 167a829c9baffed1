"""The frozen context of a question: the passages that came with it, those that a search finds, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.context import context_id, freeze
from pipelines.evaluation.bundle.records import Asked, Context, Grounds
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.runner.corpus import collection_of
from pipelines.evaluation.runner.gateway import Gateway
from pipelines.evaluation.runner.plan import Chosen, Options
from services.core.errors import ServiceError
from services.core.wire.answer import RagOptions
from services.core.wire.passages import Passage


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

    async def of(self, asked: Asked, ground: Ground) -> Context:
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
