"""Prefixes that models want before a query and before a passage: data, from the models' own cards.

A model that was trained with prefixes finds much less without them; one that was not finds less with them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b

from services.core.errors import InvalidRequest

QUERY, PASSAGE = "query", "passage"
NAMES = {QUERY: QUERY, PASSAGE: PASSAGE, "document": PASSAGE}
"""Values of TEI's `prompt_name`, with the other name that sentence-transformers has for passages."""

NOTHING = "none"
"""What to set a prefix to in order to have none, as an empty variable counts as not set."""

SHOWN = 60


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prefixes of one model."""

    query: str = ""
    passage: str = ""

    def of(self, name: str | None) -> str:
        """Find a prefix by its name. Raises `InvalidRequest` in TEI's words where there is no such name."""
        if name is None:
            return ""
        if name not in NAMES:
            raise InvalidRequest(
                f"`prompt_name` is set to `{name}` but it was not found. "
                f"Available prompts: {json.dumps([QUERY, PASSAGE])}"
            )
        return self.query if NAMES[name] == QUERY else self.passage


_SEARCH = "Represent this sentence for searching relevant passages: "
_INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "

BY_MODEL: tuple[tuple[str, Prompts], ...] = (
    (r"(multilingual-)?e5-(mistral|large)(-7b)?-instruct", Prompts(query=_INSTRUCT)),
    (r"(multilingual-)?e5-.*", Prompts(query="query: ", passage="passage: ")),
    (r"bge-.*-en(-v1\.5)?", Prompts(query=_SEARCH)),
    (r"bge-.*-zh(-v1\.5)?", Prompts(query="为这个句子生成表示以用于检索相关文章：")),  # noqa: RUF001
    (r"nomic-embed-text-v1(\.5)?|nomic-embed-text", Prompts("search_query: ", "search_document: ")),
    (r"mxbai-embed-.*", Prompts(query=_SEARCH)),
    (r"snowflake-arctic-embed-.*-v2\.0", Prompts(query="query: ")),
    (r"snowflake-arctic-embed-.*", Prompts(query=_SEARCH)),
    (r"qwen3-embedding-.*", Prompts(query=_INSTRUCT)),
    (r"embeddinggemma-.*", Prompts("task: search result | query: ", "title: none | text: ")),
)
"""By the last part of a model's id in lower case; the first that matches whole. All others want nothing:
MiniLM, MPNet, GTE, bge-m3."""


def find_prompts(model_id: str) -> Prompts:
    """Find the prefixes of the model's card."""
    name = model_id.rsplit("/", 1)[-1].lower()
    return next((prompts for pattern, prompts in BY_MODEL if re.fullmatch(pattern, name)), Prompts())


def choose_prompts(model_id: str, query: str | None, passage: str | None) -> Prompts:
    """Choose the model's own prefixes where not set otherwise; `NOTHING` sets none."""
    own = find_prompts(model_id)

    def choose(setting: str | None, default: str) -> str:
        return default if setting is None else "" if setting == NOTHING else setting

    return Prompts(choose(query, own.query), choose(passage, own.passage))


def name_model(model_id: str, prompts: Prompts) -> str:
    """Name what a collection remembers as its model: the id, and a passage prefix that is not the card's.

    A query's prefix may change freely; vectors of passages with another prefix are those of another model.
    """
    if prompts.passage == find_prompts(model_id).passage:
        return model_id
    shown = json.dumps(prompts.passage)
    if len(shown) > SHOWN:
        shown = blake2b(prompts.passage.encode(), digest_size=8).hexdigest()
    return f"{model_id} with passage prefix {shown}"
