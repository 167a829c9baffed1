"""Documents through the gateway: upload, replace, list, delete; and LangChain's parts on the running chain."""

from __future__ import annotations

import httpx
from langchain_core.documents import Document

from pipelines.langchain import RaglineReranker, RaglineRetriever
from services.core.wire.passages import Passage
from tests.integration.conftest import Running


def names(running: Running) -> list[object]:
    return [document["name"] for document in running.documents()]


def test_upload_replace_and_delete(running: Running) -> None:
    first = running.upload("notes/plan.md", b"# Plan\n\nThe bridge will be painted green in spring.").json()
    [document] = first["files"]
    assert (document["status"], document["passages"]) == ("ingested", 1)
    again = running.upload("notes/plan.md", b"# Plan\n\nThe bridge will be painted green in spring.").json()
    assert again["files"][0]["status"] == "unchanged"
    running.upload("notes/plan.md", b"# Plan\n\nThe bridge will be painted red in autumn.")
    body = {
        "messages": [{"role": "user", "content": "When will the bridge be painted?"}],
        "rag": {"top_n": 2},
    }
    answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120).json()
    texts = [passage["text"] for passage in answer["context"]["passages"]]
    assert any("red in autumn" in text for text in texts)
    assert not any("green in spring" in text for text in texts)
    assert "notes/plan.md" in names(running)
    deleted = httpx.delete(f"{running.url}/v1/documents/{document['document_id']}")
    assert deleted.status_code == 200
    assert "notes/plan.md" not in names(running)
    assert httpx.delete(f"{running.url}/v1/documents/{document['document_id']}").status_code == 404


def test_one_bad_file_does_not_fail_the_rest(running: Running) -> None:
    files = [("files", ("good.md", b"# Good\n\nA good file about tulips.")), ("files", ("bad.pdf", b"nope"))]
    reply = httpx.post(f"{running.url}/v1/documents", files=files, timeout=60)
    results = {result["name"]: result for result in reply.json()["files"]}
    assert reply.status_code == 200
    assert results["good.md"]["status"] == "ingested"
    assert results["bad.pdf"]["status"] == "failed"
    assert "PDF" in results["bad.pdf"]["error"]["message"]
    httpx.delete(f"{running.url}/v1/documents/{results['good.md']['document_id']}")


def test_no_passage_is_longer_than_the_models_window(running: Running) -> None:
    """Text of which the model's tokenizer makes many tokens, in passages of many characters."""
    lines = [
        f"{number:x}{number * 7919:x} 潮汐 naïve-{number}; f(x[{number}])={number}.{number}"
        for number in range(200)
    ]
    text = "\n".join(lines)
    fields = {"collection": "windows", "chunk_size": "3000", "chunk_overlap": "0"}
    reply = running.upload("hard.txt", text.encode(), **fields)
    assert reply.json()["files"][0]["status"] == "ingested", reply.text
    embedding, retrieval = running.stack.url("embedding"), running.stack.url("retrieval")
    stored = httpx.get(f"{retrieval}/v1/passages", params={"collection": "windows", "limit": 500}).json()
    passages = [Passage.model_validate(each) for each in stored["passages"]]
    assert all(each.text == text[each.start : each.end] for each in passages)
    covered = {at for each in passages for at in range(each.start, each.end)}
    assert covered | {at for at, character in enumerate(text) if character.isspace()} == set(range(len(text)))
    window = httpx.get(f"{embedding}/info").json()["max_input_length"]
    inputs = [each.embedded_text for each in passages]
    counts = [len(httpx.post(f"{embedding}/tokenize", json={"inputs": [each]}).json()[0]) for each in inputs]
    assert len(passages) > len(text) // 3000 + 1  # by characters alone there would be fewer
    assert window // 2 < max(counts) <= window


def test_a_collection_of_its_own(running: Running) -> None:
    reply = running.upload(
        "a.md", b"# Tulips\n\nTulips came to Vienna in the sixteenth century.", collection="garden"
    )
    assert reply.status_code == 200, reply.text
    body = {
        "messages": [{"role": "user", "content": "When did tulips come?"}],
        "rag": {"collection": "garden"},
    }
    answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120).json()
    assert [passage["title"] for passage in answer["context"]["passages"]] == ["a.md"]
    assert "a.md" not in names(running)


async def test_langchain_retriever_and_reranker(running: Running) -> None:
    retriever = RaglineRetriever(
        embedding_url=running.stack.url("embedding"), retrieval_url=running.stack.url("retrieval"), k=5
    )
    documents = await retriever.ainvoke("How dense is ice?")
    assert len(documents) == 5
    reranker = RaglineReranker(reranking_url=running.stack.url("reranking"), top_n=2)
    best = await reranker.acompress_documents(documents, "How dense is ice?")
    assert len(best) == 2
    assert best[0].metadata["source"] == "density.md"
    assert await reranker.acompress_documents([], "x") == []


def test_langchain_parts_work_outside_of_an_event_loop(running: Running) -> None:
    retriever = RaglineRetriever(
        embedding_url=running.stack.url("embedding"), retrieval_url=running.stack.url("retrieval"), k=2
    )
    assert len(retriever.invoke("wind")) == len(retriever.invoke("ice")) == 2
    reranker = RaglineReranker(reranking_url=running.stack.url("reranking"), top_n=1)
    foreign = [Document(page_content="Bricks are heavy."), Document(page_content="Ice floats on water.")]
    assert reranker.compress_documents(foreign, "Does ice float?")[0].page_content == "Ice floats on water."
