"""The public face: every name works, a real gateway answers through it, and importing it loads little."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from langchain_core.documents import BaseDocumentCompressor
from langchain_core.retrievers import BaseRetriever

import ragline
from services.core.client import HttpClient
from services.core.context import request_id, seconds_left, start_request
from services.core.wire.base import Wire
from services.dataprep.app import create as create_dataprep
from services.dataprep.settings import Settings as DataprepSettings
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.conftest import running
from tests.evaluation_run import write_run

ROOT = Path(__file__).parents[2]
DOCUMENT = b"# Honey of the bees\n\nBees make honey out of nectar in the summer.\n\n# Wax\n\nBees build their combs of wax.\n"
QUESTION = "What do bees make out of nectar?"
NAMES = {"8888": "gateway", "6000": "embedding", "7000": "retrieval", "8000": "reranking"}
HEAVY = ("fastapi", "langchain_core", "matplotlib", "numpy", "scipy", "typer", "uvicorn")


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Six services with backends that cost nothing, and one document."""
    folder = tmp_path_factory.mktemp("services")
    with ExitStack() as stack:
        urls = {
            "embedding": create_embedding(EmbeddingSettings(backend="fake", port=6000)),
            "retrieval": create_retrieval(RetrievalSettings(vector_url="memory://")),
            "reranking": create_reranking(RerankingSettings(backend="fake")),
            "generation": create_generation(GenerationSettings(engine="fake")),
        }
        urls = {name: stack.enter_context(running(app)) for name, app in urls.items()}
        peers = {"embedding_url": urls["embedding"], "retrieval_url": urls["retrieval"]}
        dataprep = create_dataprep(DataprepSettings(jobs_url=f"sqlite://{folder}/jobs", parsers=1, **peers))
        urls["dataprep"] = stack.enter_context(running(dataprep))
        settings = GatewaySettings(floor=0, **{f"{name}_url": url for name, url in urls.items()})
        urls["gateway"] = stack.enter_context(running(create_gateway(settings)))
        yield urls


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small made-up run, with its results."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    write_run(folder, questions=8)
    return folder


@pytest.fixture
async def client(urls: dict[str, str]) -> AsyncIterator[ragline.GatewayClient]:
    async with ragline.GatewayClient(urls["gateway"], seconds=30) as client:
        await client.upload([("honey.md", DOCUMENT)])
        yield client


@pytest.mark.parametrize("name", ragline.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    offered = getattr(ragline, name)
    page = (ROOT / "docs" / "python.md").read_text()
    # the bare wire types' fields say all; a docstring of theirs is text in the OpenAPI documents
    assert offered.__doc__ or issubclass(offered, Wire)
    assert f"`{name}`" in page or f"{name}(" in page


def test_names_are_sorted_and_there_are_no_others() -> None:
    assert ragline.__all__ == sorted(ragline.__all__)
    assert set(ragline._MODULE_OF) < set(ragline.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Retriever'"):
        ragline.Retriever  # noqa: B018 - asking is the test
    with pytest.raises(ImportError):
        exec("from ragline import Retriever", {})  # noqa: S102 - the import is the test


def test_importing_it_loads_no_library_of_an_extra() -> None:
    code = f"import ragline, sys; print([name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("RaglineRetriever", "langchain_core", "langchain"),
        ("statistics", "scipy", "evaluation"),
    ],
)
def test_a_missing_extra_is_named(name: str, library: str, extra: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; import ragline; ragline.{name}"
    reply = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert reply.returncode == 1
    assert f"ImportError: ragline.{name} needs {library}" in reply.stderr
    assert f"pip install 'ragline[{extra}]'" in reply.stderr


async def test_an_answer_comes_with_its_evidence(client: ragline.GatewayClient) -> None:
    reply = await client.ask(QUESTION, rag=ragline.RagOptions(top_n=1))
    message = reply.choices[0].message
    assert isinstance(reply, ragline.AnswerReply)
    assert isinstance(message.citations[0], ragline.FileCitation)
    assert message.citations[0].filename == "honey.md"
    assert [passage.title for passage in reply.context.passages] == ["honey.md"]


async def test_a_conversation_is_asked_and_sampling_counts(client: ragline.GatewayClient) -> None:
    conversation = [
        ragline.ChatMessage(role="user", content="Hello"),
        ragline.ChatMessage(role="assistant", content="Hello!"),
        ragline.ChatMessage(role="user", content=QUESTION),
    ]
    reply = await client.ask(conversation, sampling=ragline.Sampling(max_tokens=2))
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 2


async def test_a_stream_is_the_same_answer_in_pieces(client: ragline.GatewayClient) -> None:
    whole = await client.ask(QUESTION)
    chunks = [chunk async for chunk in client.stream(QUESTION)]
    pieces = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert len(pieces) > 1
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[0].context == whole.context


async def test_a_stream_can_be_left_and_the_client_used_again(client: ragline.GatewayClient) -> None:
    stream = client.stream(QUESTION)
    assert await anext(stream)
    await stream.aclose()
    assert (await client.search(QUESTION)).context.passages


async def test_a_search_asks_no_model(client: ragline.GatewayClient) -> None:
    reply = await client.search(QUESTION, rag=ragline.RagOptions(top_k=2))
    assert reply.context.passages[0].title == "honey.md"
    assert reply.timings.retrieval is not None
    assert reply.timings.generation is None


async def test_arms_are_compared_from_one_context(client: ragline.GatewayClient) -> None:
    model = (await client.ask(QUESTION)).model
    arms = [ragline.ArmRequest(model=model, name="one"), ragline.ArmRequest(model=model, name="other")]
    reply = await client.compare(QUESTION, arms, grounding="off", serial=True)
    assert [arm.status for arm in reply.arms] == ["answered", "answered"]
    assert {arm.context_id for arm in reply.arms} == {reply.context.context_id}


async def test_what_became_of_each_file_is_told(client: ragline.GatewayClient, tmp_path: Path) -> None:
    path = tmp_path / "tea.md"
    path.write_bytes(b"# Tea\n\nTea is made of leaves.\n")
    reply = await client.upload([path, ("bad.pdf", b"nothing")], collection="drinks")
    good, bad = reply.files
    assert isinstance(good, ragline.IngestedFile)
    assert (good.name, good.error, good.passages) == ("tea.md", None, 1)
    assert bad.error is not None
    assert "not a PDF" in bad.error.message


async def test_failures_are_of_the_tree(urls: dict[str, str], client: ragline.GatewayClient) -> None:
    with pytest.raises(ragline.NotFound, match="nobody"):
        await client.ask(QUESTION, model="nobody")
    with pytest.raises(ragline.NotFound, match="nobody"):
        await anext(client.stream(QUESTION, model="nobody"))
    with pytest.raises(ragline.InvalidRequest):
        await client.search("")
    async with ragline.GatewayClient("http://127.0.0.1:9") as nowhere:
        with pytest.raises(ragline.ServiceUnavailable) as caught:
            await nowhere.ask(QUESTION)
    assert caught.value.service == "gateway"
    async with ragline.GatewayClient(urls["gateway"], seconds=0) as hasty:
        with pytest.raises(ragline.DeadlineExceeded):
            await hasty.ask(QUESTION)


async def test_a_callers_own_request_is_left_as_it_was(client: ragline.GatewayClient) -> None:
    start_request("mine", 100)
    await client.search(QUESTION)
    async for _ in client.stream(QUESTION):
        assert request_id.get() == "mine"
    assert request_id.get() == "mine"
    assert (seconds_left() or 0) > 50


async def test_the_langchain_parts_work(urls: dict[str, str], client: ragline.GatewayClient) -> None:
    retriever = ragline.RaglineRetriever(embedding_url=urls["embedding"], retrieval_url=urls["retrieval"])
    reranker = ragline.RaglineReranker(reranking_url=urls["reranking"], top_n=1)
    assert isinstance(retriever, BaseRetriever)
    assert isinstance(reranker, BaseDocumentCompressor)
    documents = await retriever.ainvoke(QUESTION)
    best = await reranker.acompress_documents(documents, QUESTION)
    assert [ragline.to_passage(document).title for document in best] == ["honey.md"]
    assert ragline.to_document(ragline.to_passage(best[0])).page_content == best[0].page_content


def test_a_bundle_is_read_and_scored(recorded: Path) -> None:
    bundle, results = ragline.read_bundle(recorded), ragline.read_results(recorded)
    assert isinstance(bundle, ragline.Bundle)
    assert isinstance(results, ragline.Results)
    scored = ragline.score_answers(bundle)
    assert len(scored) == len(bundle.answers)
    assert isinstance(scored[0], ragline.AnswerScores)
    compared = {result.metric for result in results.metrics}
    assert compared
    assert compared <= {metric.name for metric in ragline.list_metrics()}


def test_a_metric_is_called_with_an_answer(recorded: Path) -> None:
    bundle = ragline.read_bundle(recorded)
    correct = ragline.find_metric("correct")
    assert isinstance(correct, ragline.AnswerMetric)
    assert isinstance(correct, ragline.Metric)
    expected = {
        (s.question.id, s.answer.arm, s.answer.repeat): s.scores for s in ragline.score_answers(bundle)
    }
    item, context, answer = bundle.questions[0].item, bundle.contexts[0], bundle.answers[0]
    assert isinstance(item, ragline.Item)
    assert isinstance(context, ragline.Context)
    value = correct(ragline.AnswerInContext(item, context, answer.reply))
    assert value == expected[answer.question, answer.arm, answer.repeat].get("correct")
    assert ragline.score_text(item, item.answers[0])["correct"] == 1


def test_the_statistics_compare() -> None:
    score = ragline.statistics.Score
    before = [score(f"q{number}", number % 2) for number in range(40)]
    after = [score(f"q{number}", 1.0) for number in range(40)]
    difference = ragline.statistics.compare("correct", ragline.statistics.pair(before, after))
    assert difference.difference == pytest.approx(0.5)


def test_the_wheel_has_it_beside_the_packages(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("ragline-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    modules = [path for folder in ("services", "pipelines") for path in (ROOT / folder).rglob("*.py")]
    assert {path.relative_to(ROOT).as_posix() for path in (*modules, ROOT / "ragline.py")} <= names


async def test_a_key_is_sent_as_a_bearer_token() -> None:
    client = ragline.GatewayClient(api_key="secret")
    http = client._http
    assert isinstance(http, HttpClient)
    assert http._connections._headers == {"authorization": "Bearer secret"}


def test_the_programs_of_the_page_run(
    urls: dict[str, str], recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) == 3
    for program in programs:
        source = re.sub(r"http://127\.0\.0\.1:(\d+)", lambda match: urls[NAMES[match[1]]], program)
        exec(source.replace("runs/first", str(recorded)), {})  # noqa: S102 - running it is the test
        assert capsys.readouterr().out
