"""Reindexing: every passage of a collection is embedded anew with the present model, then the name switches.

The passages go into a collection of their own, named after the model, so that readers see the old vectors
until all new ones are there. What is there already is not embedded again: after a kill, run it again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.context import new_request_id, start_request
from services.core.errors import Conflict, NotFound
from services.core.wire.embedding import EmbeddingInfo
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import CollectionInfo, StoredPassage

PAGE = 256
NAME_LENGTH = 63
STEP_SECONDS = 600.0
"""Longest that one batch or page may take."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`name` is what readers say, `old` the collection it means now, `new` the one it will mean.

    `replaces`: `name` is no alias but the old collection's own name, which the switch takes from it.
    """

    name: str
    old: CollectionInfo
    new: str
    replaces: bool


def plan(
    name: str, collections: Sequence[CollectionInfo], aliases: dict[str, str], model: EmbeddingInfo
) -> Plan | None:
    """Plan the copy; None where the collection's vectors are of this model already.

    Raises:
        NotFound: There is no such collection.
    """
    by_name = {one.name: one for one in collections}
    old = by_name.get(aliases.get(name, name))
    if old is None:
        raise NotFound(f"there is no collection {name}: it is one of {', '.join(by_name) or 'none'}")
    if old.model == model.model_id and model.dim in {0, old.dim}:
        return None
    return Plan(name, old, new_name(name, model.model_id), replaces=name not in aliases)


def new_name(name: str, model: str) -> str:
    """Name the copy: the same name for the same model, so that another run goes on where one was killed."""
    short = re.sub(r"[^a-z0-9]+", "-", model.rsplit("/", 1)[-1].lower()).strip("-")
    full = f"{name}.{short}"
    if len(full) <= NAME_LENGTH:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:8]
    return f"{full[: NAME_LENGTH - 9]}-{digest}"


def leftovers(name: str, collections: Sequence[CollectionInfo], aliases: dict[str, str]) -> list[str]:
    """List the collections that earlier runs made for `name`, and that nothing means any more."""
    meant = set(aliases.values())
    made = [one.name for one in collections if one.name == new_name(name, one.model)]
    return [one for one in made if one not in meant]


@dataclass(frozen=True, slots=True)
class Reindex:
    """`batch` passages are embedded and stored at a time."""

    retrieval: RetrievalClient
    embedding: EmbeddingClient
    say: Callable[[str], None]
    batch: int = 64

    async def run(self, name: str, *, drop_old: bool, again: bool = False) -> None:
        """Copy, then switch. Raises `Conflict` where the copy is not whole, and the old one stays.

        Args:
            again: Whether a collection of this model is stored anew, in its place, for what a newer version
                makes of its passages.
        """
        start_request(new_request_id(), STEP_SECONDS)
        model = await self.embedding.info()
        collections, aliases = await self.retrieval.collections(), await self.retrieval.aliases()
        todo = plan(name, collections, aliases, model)
        if todo is None and again:
            await self.store_again(name, model)
            return
        if todo is None:
            self.say(f"{name} is of {model.model_id} already; --again indexes and embeds it anew")
            if drop_old:
                await self._drop(leftovers(name, collections, aliases))
            return
        self.say(f"{name}: {todo.old.passages} passages of {todo.old.model} into {todo.new}")
        await self.copy(todo, model)
        await self.verify(todo)
        await self.switch(todo, drop_old=drop_old)

    async def copy(self, todo: Plan, model: EmbeddingInfo) -> None:
        """Copy every passage of the old collection into the new one, and leave nothing else there.

        What is written to the old one meanwhile is found by another round.
        """
        done = await self._ids(todo.new)
        if done:
            self.say(f"{len(done)} of them are there already")
        reported = -1
        while True:
            fresh = 0
            async for passages in self._batches(todo.old.name, done):
                await self._embed(todo.new, passages, model)
                done |= {one.id for one in passages}
                fresh += len(passages)
                share = 10 * len(done) // max(1, todo.old.passages)
                if share != reported:
                    reported = share
                    self.say(f"{len(done)} of {todo.old.passages}")
            if not fresh:
                break
        wanted = {(one.id, one.revision) for one in await self.retrieval.documents(todo.old.name)}
        for document in await self._documents(todo.new):
            if document not in wanted:
                await self.retrieval.delete(todo.new, document[0], revision=document[1])

    async def store_again(self, name: str, model: EmbeddingInfo) -> None:
        """Store every passage once more under its id, with the index terms and vectors of this version.

        A reader finds each passage as it was or as it is now. What a document that is replaced meanwhile
        leaves of its old revision is deleted.
        """
        done: set[tuple[str, str]] = set()
        count = 0
        async for passages in self._batches(name, set()):
            await self._embed(name, passages, model)
            done |= {(one.document_id, one.revision) for one in passages}
            count += len(passages)
        for document_id, revision in done - set(await self._documents(name)):
            await self.retrieval.delete(name, document_id, revision=revision)
        self.say(f"{name}: {count} passages are indexed and embedded anew")

    async def verify(self, todo: Plan) -> None:
        """Raise `Conflict` where the two collections do not hold the same passages."""
        old, new = await self._ids(todo.old.name), await self._ids(todo.new)
        if old != new:
            raise Conflict(
                f"{todo.new} has {len(new)} passages and {todo.old.name} {len(old)}: it is being written to; "
                "run reindex again when that is done. Nothing was switched"
            )

    async def switch(self, todo: Plan, *, drop_old: bool) -> None:
        """Let the name mean the copy, in one step, between two requests."""
        if todo.replaces and not drop_old:
            self.say(
                f"{todo.new} is complete. {todo.name} is that collection's own name and not an alias, so the "
                f"switch deletes the old one: run 'ragline reindex {todo.name} --drop-old'"
            )
            return
        await self.retrieval.set_alias(todo.name, todo.new, replace_collection=todo.replaces)
        self.say(f"{todo.name} is {todo.new} now")
        if todo.replaces:
            return
        if drop_old:
            await self._drop([todo.old.name])
        else:
            self.say(f"{todo.old.name} is kept; 'ragline reindex {todo.name} --drop-old' deletes it")

    async def _drop(self, names: Sequence[str]) -> None:
        for name in names:
            await self.retrieval.drop(name)
            self.say(f"{name} is deleted")

    async def _embed(self, collection: str, passages: Sequence[Passage], model: EmbeddingInfo) -> None:
        start_request(new_request_id(), STEP_SECONDS)
        encoded = await self.embedding.encode(
            [one.embedded_text for one in passages], token_vectors=model.token_vectors
        )
        if encoded.model != model.model_id:
            raise Conflict(f"the embedding model changed to {encoded.model} meanwhile: run reindex again")
        tokens: Sequence[TokenVectors | None] = encoded.token_vectors or [None] * len(passages)
        stored = [
            StoredPassage(passage=passage, vector=vector, token_vectors=late)
            for passage, vector, late in zip(passages, encoded.embeddings, tokens, strict=True)
        ]
        await self.retrieval.upsert(collection, encoded.model, stored)

    async def _batches(self, collection: str, done: set[str]) -> AsyncGenerator[list[Passage]]:
        """Read the passages that are not done, `batch` at a time."""
        waiting: list[Passage] = []
        async for page in self._pages(collection):
            waiting += [one for one in page if one.id not in done]
            while len(waiting) >= self.batch:
                yield waiting[: self.batch]
                del waiting[: self.batch]
        if waiting:
            yield waiting

    async def _pages(self, collection: str) -> AsyncGenerator[list[Passage]]:
        after: str | None = None
        while True:
            start_request(new_request_id(), STEP_SECONDS)
            page = await self.retrieval.passages(collection, after=after, limit=PAGE)
            yield page.passages
            after = page.next
            if after is None:
                return

    async def _ids(self, collection: str) -> set[str]:
        """Read all passage ids; none where there is no such collection yet."""
        try:
            return {one.id async for page in self._pages(collection) for one in page}
        except NotFound:
            return set()

    async def _documents(self, collection: str) -> list[tuple[str, str]]:
        return [(one.id, one.revision) for one in await self.retrieval.documents(collection)]
