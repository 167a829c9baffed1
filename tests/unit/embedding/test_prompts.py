from __future__ import annotations

import pytest

from services.core.errors import InvalidRequest
from services.embedding.prompts import Prompts, choose_prompts, find_prompts, name_model


@pytest.mark.parametrize(
    ("model", "query", "passage"),
    [
        ("sentence-transformers/all-MiniLM-L6-v2", "", ""),
        ("intfloat/e5-small-v2", "query: ", "passage: "),
        ("intfloat/multilingual-e5-base", "query: ", "passage: "),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("Alibaba-NLP/gte-base-en-v1.5", "", ""),
        ("Snowflake/snowflake-arctic-embed-m-v2.0", "query: ", ""),
    ],
)
def test_the_prefixes_are_those_of_the_models_card(model: str, query: str, passage: str) -> None:
    assert find_prompts(model) == Prompts(query, passage)


def test_an_instruct_model_gets_an_instruction_and_not_e5s_words() -> None:
    prompts = find_prompts("intfloat/multilingual-e5-large-instruct")
    assert prompts.query.startswith("Instruct: ")
    assert prompts.passage == ""


def test_settings_win_and_none_means_nothing() -> None:
    assert choose_prompts("intfloat/e5-small-v2", None, None) == Prompts("query: ", "passage: ")
    assert choose_prompts("intfloat/e5-small-v2", "q: ", "none") == Prompts("q: ", "")


def test_another_passage_prefix_is_another_model_and_another_query_prefix_is_not() -> None:
    model = "intfloat/e5-small-v2"
    assert name_model(model, find_prompts(model)) == model
    assert name_model(model, Prompts("other: ", "passage: ")) == model
    assert name_model(model, Prompts("query: ", "text: ")) == f'{model} with passage prefix "text: "'
    long = [name_model(model, Prompts("", letter * 5000)) for letter in "ab"]
    assert long[0] != long[1]
    assert max(map(len, long)) < 100


def test_names_are_teis_and_an_unknown_one_is_refused_in_its_words() -> None:
    prompts = Prompts("q: ", "p: ")
    assert [prompts.of(name) for name in (None, "query", "passage", "document")] == ["", "q: ", "p: ", "p: "]
    with pytest.raises(InvalidRequest, match=r'Available prompts: \["query", "passage"\]'):
        prompts.of("poem")
