"""What `ragline reindex` is going to do, before it does it."""

from __future__ import annotations

import pytest

from pipelines.reindex import NAME_LENGTH, leftovers, new_name, plan
from services.core.errors import NotFound
from services.core.wire.embedding import EmbeddingInfo
from services.core.wire.retrieval import CollectionInfo

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
