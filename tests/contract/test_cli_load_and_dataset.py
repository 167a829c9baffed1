"""`ragline dataset build` and `ragline load` as commands, on real services around the fake engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from click.testing import Result
from starlette.types import ASGIApp
from typer.testing import CliRunner

from pipelines.evaluation.datasets import load_dataset
from pipelines.evaluation.load.records import LoadReport
from services.cli.main import app
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import InvalidRequest, NotFound
from services.core.wire.passages import Passage
from services.core.wire.retrieval import StoredPassage
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

Serve = Callable[[ASGIApp], str]
ENTRIES = [{"name": name, "engine": "fake", "model_id": name} for name in ("first", "second")]
KINDS = ("clay", "slate", "granite", "marble", "basalt", "chalk")


def text(kind: str, number: int) -> str:
    """A passage whose echo, all that the fake engine has to say, is a question with its answer."""
    weight = f"{number}.5 kilograms"
    return (
        f"It is {weight}, Question: How heavy is the {kind} brick that the mason Dunmore fired at the northern "
        f"quarry? Answer: {weight}"
    )


async def fill(retrieval: str, embedding: str) -> None:
    passages = [
        Passage(id=f"p{number}", document_id=f"{kind}.md", text=text(kind, number), revision="1")
        for number, kind in enumerate(KINDS, start=1)
    ]
    async with HttpClient("retrieval", retrieval) as store, HttpClient("embedding", embedding) as model:
        encoded = await EmbeddingClient(model).encode([each.text for each in passages], token_vectors=False)
        stored = [
            StoredPassage(passage=each, vector=vector)
            for each, vector in zip(passages, encoded.embeddings, strict=True)
        ]
        await RetrievalClient(store).upsert("bricks", encoded.model, stored)


@pytest.fixture(scope="module")
def chain(serve: Serve) -> dict[str, str]:
    """The environment of a command that reaches five services."""
    urls = {
        "embedding": serve(create_embedding(EmbeddingSettings(backend="fake"))),
        "retrieval": serve(create_retrieval(RetrievalSettings(vector_url="memory://"))),
        "reranking": serve(create_reranking(RerankingSettings(backend="fake"))),
        "generation": serve(create_generation(GenerationSettings(backends=orjson.dumps(ENTRIES).decode()))),
    }
    settings = GatewaySettings(floor=0, **{f"{name}_url": url for name, url in urls.items()})
    asyncio.run(fill(urls["retrieval"], urls["embedding"]))
    return {f"{name.upper()}_URL": url for name, url in urls.items()} | {
        "RAGLINE_URL": serve(create_gateway(settings)),
        "COLUMNS": "250",
    }


def ragline(chain: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=chain)


def build(chain: dict[str, str], out: Path, *more: str, n: int = 6, collection: str = "bricks") -> Result:
    options = ["--collection", collection, "--n", str(n), "--out", str(out), "--seed", "3"]
    model = [] if "--model" in more else ["--model", "first"]
    return ragline(chain, "dataset", "build", *options, *model, *more)


@pytest.fixture(scope="module")
def built(chain: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("built") / "questions.jsonl"
    run = build(chain, out, "--unanswerable", "0.34")
    assert run.exit_code == 0, run.output
    return out, run.stdout


def test_the_set_loads_and_says_where_each_question_is_from(built: tuple[Path, str]) -> None:
    out, said = built
    items = load_dataset(str(out)).items
    assert sum(not item.answerable for item in items) == 2
    assert {item.group for item in items} == {f"{kind}.md" for kind in KINDS}
    for item, line in zip(items, map(orjson.loads, out.read_bytes().splitlines()), strict=True):
        assert line["source"]["text"] == text(
            line["source"]["document"][:-3], int(line["source"]["passage"][1:])
        )
        if item.answerable:
            assert item.kind == "exact"
            assert item.answers[0] in line["source"]["text"]
            assert item.relevant == (line["source"]["passage"],)
        else:
            old, new = line["source"]["replaced"].split(" -> ")
            assert old == "Dunmore"
            assert new in item.question
            assert old not in item.question
    assert "asked 6, kept 6 (100%), 2 of them unanswerable; dropped 0" in said


def test_a_build_that_was_killed_goes_on_to_the_same_set(
    chain: dict[str, str], built: tuple[Path, str], tmp_path: Path
) -> None:
    whole = built[0].read_bytes()
    out = tmp_path / "questions.jsonl"
    first = whole.splitlines(keepends=True)
    out.write_bytes(b"".join(first[:3]) + first[3][:40])
    refused = build(chain, out, "--unanswerable", "0.34")
    assert "--resume" in str(refused.exception)
    assert build(chain, out, "--unanswerable", "0.34", "--resume").exit_code == 0
    assert out.read_bytes() == whole


def test_a_collection_that_gives_no_more_says_so(chain: dict[str, str], tmp_path: Path) -> None:
    run = build(chain, tmp_path / "q.jsonl", "--unanswerable", "0", n=50)
    assert run.exit_code == 0
    assert "asked 18, kept 6 (33%)" in run.stdout
    assert "6 of 50 questions were kept" in run.stderr
    dropped = [orjson.loads(line) for line in (tmp_path / "q.dropped.jsonl").read_bytes().splitlines()]
    assert [line["attempt"] for line in dropped] == list(range(6, 18))
    for reason in {line["reason"] for line in dropped}:
        assert f"{sum(line['reason'] == reason for line in dropped):>5}  {reason}\n" in run.stdout


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"collection": "nothing"}, NotFound, "one of bricks"),
        ({"model": "nobody"}, NotFound, "first, second"),
    ],
)
def test_what_cannot_be_built_says_so_before_a_model_is_asked(
    chain: dict[str, str], tmp_path: Path, more: dict[str, str], error: type[Exception], says: str
) -> None:
    out = tmp_path / "q.jsonl"
    model = ["--model", more["model"]] if "model" in more else []
    run = build(chain, out, *model, collection=more.get("collection", "bricks"))
    assert isinstance(run.exception, error)
    assert says in str(run.exception)
    assert not out.exists()


def test_arms_are_loaded_at_every_concurrency(
    chain: dict[str, str], built: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "load.json"
    options = ["--dataset", str(built[0]), "--collection", "bricks", "--requests", "7", "--out", str(out)]
    run = ragline(
        chain,
        "load",
        "--arms",
        "first,second+cite",
        "--concurrency",
        "3,1",
        "--slo",
        "ttfo=60,e2el=60",
        *options,
    )
    assert run.exit_code == 0, run.output
    report = LoadReport.model_validate_json(out.read_bytes())
    assert [(each.arm, each.concurrency) for each in report.cells] == [
        ("first", 1),
        ("first", 3),
        ("second+cite", 1),
        ("second+cite", 3),
    ]
    for each in report.cells:
        assert (each.requests, each.errors, each.share_within_slo) == (7, {}, 1.0)
        assert each.goodput == each.throughput > 0
        assert each.tokens_per_second > 0
        median, p95 = each.e2el[0], each.e2el[2]
        assert median.value is not None
        assert p95.value is None
    assert report.arms[1].prompt == "cite"
    assert [verdict.users for verdict in report.verdicts] == [3, 3]
    assert "first serves 3 users at once on this machine" in run.stdout
    assert "more were not tried" in run.stdout
    assert "insufficient" in run.stdout
    again = ragline(chain, "load", "--arms", "first", *options)
    assert "--force" in str(again.exception)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (["--arms", "nobody"], NotFound, "first, second"),
        (["--arms", "first,first"], InvalidRequest, "twice"),
        (["--arms", "first", "--slo", "soon"], InvalidRequest, "ttfo=5,e2el=20"),
        (["--arms", "first", "--concurrency", "0"], InvalidRequest, "from 1 to"),
    ],
)
def test_what_cannot_be_loaded_says_so(
    chain: dict[str, str],
    built: tuple[Path, str],
    tmp_path: Path,
    options: list[str],
    error: type[Exception],
    says: str,
) -> None:
    out = tmp_path / "load.json"
    run = ragline(chain, "load", *options, "--dataset", str(built[0]), "--out", str(out))
    assert isinstance(run.exception, error)
    assert says in str(run.exception)
    assert not out.exists()


def test_another_machine_is_not_loaded_by_accident(
    chain: dict[str, str], built: tuple[Path, str], tmp_path: Path
) -> None:
    there = {**chain, "RAGLINE_URL": "http://ragline.example:8888"}
    run = ragline(
        there, "load", "--arms", "first", "--dataset", str(built[0]), "--out", str(tmp_path / "l.json")
    )
    assert "--allow-remote" in str(run.exception)
