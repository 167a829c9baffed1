"""What `ragline reindex` is going to do, before it does it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipelines.reindex import NAME_LENGTH, Reindex, leftovers, new_name, plan
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import NotFound
from services.core.wire.embedding import EmbeddingInfo, EncodeReply
from services.core.wire.passages import DocumentInfo, Passage
from services.core.wire.retrieval import CollectionInfo, PassagesReply, StoredPassage

OLD = CollectionInfo(name="docs-v1", model="org/Old Model", dim=16, passages=3)
NEW = EmbeddingInfo(model_id="org/New_Model.v2", max_input_length=256, dim=384)


def test_an_alias_is_switched_and_a_collections_own_name_is_taken_from_it() -> None:
    through = plan("docs", [OLD], {"docs": "docs-v1"}, NEW)
    assert through is not None
    assert (through.old, through.new, through.replaces) == (OLD, "docs.new-model-v2", False)
    itself = plan("docs-v1", [OLD], {}, NEW)
    assert itself is not None
    assert (itself.old, itself.replaces) == (OLD, True)


def test_the_same_model_is_nothing_to_do_but_another_dimension_is_another_model() -> None:
    same = NEW.model_copy(update={"model_id": OLD.model, "dim": 16})
    assert plan("docs-v1", [OLD], {}, same) is None
    assert plan("docs-v1", [OLD], {}, same.model_copy(update={"dim": 0})) is None  # a TEI does not say
    assert plan("docs-v1", [OLD], {}, same.model_copy(update={"dim": 32})) is not None


def test_an_unknown_collection_is_named() -> None:
    with pytest.raises(NotFound, match="no collection other: it is one of docs-v1"):
        plan("other", [OLD], {}, NEW)


def test_a_new_name_is_always_one_that_retrieval_takes() -> None:
    assert new_name("docs", "a/b/MiniLM L6") == "docs.minilm-l6"
    long = new_name("d" * 60, NEW.model_id)
    assert len(long) == NAME_LENGTH
    assert long == new_name("d" * 60, NEW.model_id) != new_name("d" * 60, "other")


def test_only_what_reindex_made_and_nothing_means_is_left_over() -> None:
    made = OLD.model_copy(update={"name": new_name("docs", OLD.model)})
    present = CollectionInfo(name=new_name("docs", NEW.model_id), model=NEW.model_id, dim=384, passages=3)
    others = CollectionInfo(name="docs.eu", model=OLD.model, dim=16, passages=1)
    assert leftovers("docs", [OLD, made, present, others], {"docs": present.name}) == [made.name]


class Stored(RetrievalClient):
    """A collection of two documents, one of which is replaced while its passages are embedded."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, list[float]]] = []
        self.deleted: list[tuple[str, str | None]] = []

    async def collections(self) -> list[CollectionInfo]:
        return [CollectionInfo(name="c", model="m", dim=1, passages=2)]

    async def aliases(self) -> dict[str, str]:
        return {}

    async def passages(self, collection: str, *, after: str | None = None, limit: int = 256) -> PassagesReply:
        passages = [
            Passage(id=name, document_id=name, text=f"o\ufb03ce {name}", revision="1") for name in "ab"
        ]
        return PassagesReply(passages=passages, next=None)

    async def upsert(
        self, collection: str, model: str, passages: Sequence[StoredPassage], *, staged: bool = False
    ) -> None:
        self.written += [(one.passage.id, one.passage.text, one.vector) for one in passages]

    async def documents(self, collection: str) -> list[DocumentInfo]:
        revisions = {"a": "1", "b": "2"}
        return [
            DocumentInfo(id=name, name=name, revision=revision, passages=1)
            for name, revision in revisions.items()
        ]

    async def delete(
        self,
        collection: str,
        document_id: str,
        *,
        keep_revision: str | None = None,
        revision: str | None = None,
    ) -> int:
        self.deleted.append((document_id, revision))
        return 1


class Embedding(EmbeddingClient):
    def __init__(self) -> None:
        pass

    async def info(self) -> EmbeddingInfo:
        return EmbeddingInfo(model_id="m", max_input_length=256, dim=1)

    async def encode(
        self, texts: Sequence[str], *, token_vectors: bool, truncate: bool = True, prompt: str = "passage"
    ) -> EncodeReply:
        return EncodeReply(model="m", dim=1, embeddings=[[float(len(text))] for text in texts])


async def test_a_collection_of_the_same_model_is_stored_again_only_where_that_is_asked_for() -> None:
    stored, said = Stored(), list[str]()
    await Reindex(stored, Embedding(), said.append).run("c", drop_old=False)
    assert stored.written == []
    assert "--again" in said[-1]
    await Reindex(stored, Embedding(), said.append).run("c", drop_old=False, again=True)
    assert [(id_, text) for id_, text, _ in stored.written] == [("a", "o\ufb03ce a"), ("b", "o\ufb03ce b")]
    assert stored.deleted == [("b", "1")]
    assert "2 passages" in said[-1]
