"""LlamaIndex's OpenAILike: answers, whole and streamed, errors; and its client of Jina's reranker."""

from __future__ import annotations

import pytest

pytest.importorskip("llama_index.llms.openai_like", reason="needs its own environment: make test-clients")

import openai
from llama_index.core.llms import ChatMessage
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.llms.openai_like import OpenAILike
from llama_index.postprocessor.jinaai_rerank import JinaRerank

from tests.clients.expected import ANSWER, KEY, QUESTION


@pytest.fixture
def model(gateway: str):
    def make(name: str = "plain") -> OpenAILike:
        return OpenAILike(
            model=name,
            api_base=f"{gateway}/v1",
            api_key=KEY,
            is_chat_model=True,
            max_retries=0,
            context_window=4096,
        )

    return make


def test_an_answer(model):
    reply = model().chat([ChatMessage(role="user", content=QUESTION)])
    assert reply.message.content == ANSWER
    assert model().complete(QUESTION).text == ANSWER


async def test_a_stream_adds_up_to_the_answer(model):
    pieces = [piece.delta for piece in model().stream_chat([ChatMessage(role="user", content=QUESTION)])]
    assert len(pieces) > 3
    assert "".join(piece or "" for piece in pieces) == ANSWER
    stream = await model("thinking").astream_chat([ChatMessage(role="user", content=QUESTION)])
    assert "".join([piece.delta or "" async for piece in stream]) == ANSWER


def test_errors_come_through(model):
    with pytest.raises(openai.NotFoundError):
        model("nobody").chat([ChatMessage(role="user", content=QUESTION)])


def test_jinas_reranker_puts_the_nodes_in_order(gateway):
    reranker = JinaRerank(top_n=2, model="jina-reranker-v2", base_url=f"{gateway}/v1", api_key=KEY)
    nodes = [
        NodeWithScore(node=TextNode(text=text)) for text in ("Snow is cold.", "Bees make honey.", "Ants dig.")
    ]
    found = reranker.postprocess_nodes(nodes, query_str="bees honey")
    assert len(found) == 2
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert {one.node.text for one in found} <= {one.node.text for one in nodes}


def test_jinas_reranker_says_why_it_failed(gateway):
    reranker = JinaRerank(top_n=0, model="jina-reranker-v2", base_url=f"{gateway}/v1", api_key=KEY)
    with pytest.raises(RuntimeError, match="top_n"):
        reranker.postprocess_nodes([NodeWithScore(node=TextNode(text="Snow."))], query_str="bees")
